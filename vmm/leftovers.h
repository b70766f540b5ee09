/* What a machine makes in the file system and cannot remove itself, in its jail or killed. */
#ifndef OSVM_VMM_LEFTOVERS_H
#define OSVM_VMM_LEFTOVERS_H

#include "config.h"

/*
 * Remove the sockets that this configuration names, where they are sockets and nobody listens on
 * them any more. What cannot be removed stays: the next start says why it is in the way.
 */
void leftovers_remove(const struct config *config);

#endif
