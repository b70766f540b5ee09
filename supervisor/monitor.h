/*
 * osvm-monitor: the parent of one component, and nothing else. Its arguments, and what it writes,
 * are the contract between it and the daemon, of whatever version each of them is.
 *
 *   osvm-monitor --name NAME --run DIR --log DIR --log-max BYTES --log-files N
 *                [--time-limit MS --grace MS] [--notify SOCKET] [--says-ready] [--echo] -- PROGRAM
 * ARG…
 *
 * It makes itself a session and a subreaper, starts PROGRAM with its own environment and working
 * directory, standard input /dev/null, and lives until PROGRAM and everything that hangs on it
 * have ended and their output is in the log.
 *
 * RUN/monitor.json  {"monitor": {"pid", "start"}, "child": {"pid", "start"}, "started": SECONDS}
 *                   before PROGRAM's first instruction
 * RUN/ready         empty; once PROGRAM wrote to descriptor 3 (--says-ready)
 * RUN/exit.json     {"status": N | "signal": N, "reason": WORD, "ended": SECONDS, "message": TEXT}
 *                   reason: exited, signal, time-limit, not-started; the last thing that it writes
 * LOG/N             the output, in files numbered from 0 up, oldest first, of at most --log-max
 * bytes; beyond --log-files the oldest is removed. Records as CRI writes them (Kubernetes, "CRI
 * logging"): TIME stdout|stderr F|P TEXT, where F ends a line and P does not; TEXT is any bytes but
 * newline, so that everything can be told back exactly. SOCKET            a datagram "NAME
 * ready|ended" whenever one of these files was written
 *
 * --cgroup NAME     PROGRAM and all that it starts are in a control group of that name, with the
 *                   limits --cgroup-memory BYTES, --cgroup-cpu PERCENT and --cgroup-pids N, which
 *                   must all be enforceable; all in it is killed at PROGRAM's end, and it is
 * removed
 * --ready-at-start  RUN/ready is written once PROGRAM's exec has succeeded
 * --streams         PROGRAM's standard input and output are a socket, whose other end the first
 *                   client that connects to RUN/stdio.sock gets: one byte STREAMS_YOURS with it
 *                   (SCM_RIGHTS); each later one gets STREAMS_TAKEN. Only standard error is logged
 * --echo            the output goes to its own standard output and error as well
 *
 * SIGTERM: passes it on, and after --grace ends everything by force (SIGKILL). SIGUSR1: forces at
 * once.
 */
#ifndef OSVM_SUPERVISOR_MONITOR_H
#define OSVM_SUPERVISOR_MONITOR_H

#define MONITOR_READY_FD 3

#define STREAMS_YOURS 'Y'
#define STREAMS_TAKEN 'T'

/* The monitor's own: a lock that says that the component runs. PROGRAM does not get it. */
#define MONITOR_LOCK_FD 9

#endif
