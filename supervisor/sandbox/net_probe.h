/* A look at a port of the loopback address. */
#ifndef OSVM_SUPERVISOR_SANDBOX_NET_PROBE_H
#define OSVM_SUPERVISOR_SANDBOX_NET_PROBE_H

/**
 * Connect to a TCP port of 127.0.0.1, and for http ask for a path there. Blocks; who started this
 * process ends it when it has waited for long enough.
 *
 * @what  "tcp:PORT" or "http:PORT:PATH"
 * Returns 0; or 1, with a line on standard output that says why.
 */
int net_probe(const char *what);

#endif
