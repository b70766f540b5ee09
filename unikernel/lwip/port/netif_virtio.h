/* A virtio network device as lwIP's interface. */
#ifndef LWIP_PORT_NETIF_VIRTIO_H
#define LWIP_PORT_NETIF_VIRTIO_H

#include "lwip/netif.h"
#include "sdk/net.h"

/**
 * Make `net`, which is open, lwIP's default interface, up, with a fixed address. lwIP must be
 * initialised. Returns whether it did.
 */
bool netif_virtio_add(struct netif *netif, struct net *net, const char *address,
                      const char *netmask, const char *gateway);

/* Hand lwIP all frames that have come, and send what it has for the wire: to be called after all
 * that may make it send, and before a wait. Returns whether any had come. */
bool netif_virtio_poll(struct netif *netif);

#endif
