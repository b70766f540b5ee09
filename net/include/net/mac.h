/* Ethernet addresses. */
#ifndef OSVM_NET_MAC_H
#define OSVM_NET_MAC_H

#include <stdint.h>

#define NET_MAC_LEN 6

/**
 * Make the address of a VM's interface out of the VM's id: the same for the same id and index,
 * unicast, locally administered (IEEE 802, section 8.2.2). Any thread.
 */
void net_mac_derive(const char *vm_id, unsigned index, uint8_t ret_mac[NET_MAC_LEN]);

/**
 * Parse "02:00:5e:10:00:01"; upper and lower case, six pairs of digits, colons between them.
 * Returns 0; -EINVAL where it is no address; -EADDRNOTAVAIL where no interface can have it (a
 * multicast address, or all zeroes). Any thread.
 */
int net_mac_parse(const char *text, uint8_t ret_mac[NET_MAC_LEN]);

#endif
