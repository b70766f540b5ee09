/* What the two halves of the vsock driver share: packets below, sockets above. */
#ifndef DRIVERS_VSOCK_PRIVATE_H
#define DRIVERS_VSOCK_PRIVATE_H

#include "sdk/vsock.h"

#define VSOCK_PACKET_MAX 65536u /* bytes of data in one that is sent */

bool vsock_buffers_create(struct vsock *vsock);
void vsock_buffers_free(struct vsock *vsock);

/* Send a packet of a connection with the credit of now. */
bool vsock_send_op(struct vsock_socket *socket, uint16_t op, uint32_t flags, const void *data,
                   uint32_t length);

/* sockets: what to do with a packet, which was checked for length. */
void vsock_handle(struct vsock *vsock, const struct vsock_header *header, const uint8_t *data);
void vsock_handle_transport_reset(struct vsock *vsock);

/* Forget released sockets whose peers did not let go in time. */
void vsock_expire(struct vsock *vsock);

#endif
