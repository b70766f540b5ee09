#include "vsock_device.h"

/* 2^30 to 2^31, as the clients of this form of vsock expect. */
#define HOST_PORT_FIRST UINT32_C(0x40000000)
#define HOST_PORT_LAST  UINT32_C(0x7fffffff)

/* A guest that makes its ports collide walks at most VIRTIO_VSOCK_MAX_CONNECTIONS entries. */
static struct vsock_bucket *bucket(struct vsock *vsock, uint32_t guest_port, uint32_t host_port)
{
    uint32_t hash = guest_port * UINT32_C(0x9e3779b1) ^ host_port * UINT32_C(0x85ebca77);

    return &vsock->table[(hash ^ hash >> 16) & (VSOCK_TABLE_SIZE - 1)];
}

struct vsock_connection *vsock_table_find(struct vsock *vsock, uint32_t guest_port,
                                          uint32_t host_port)
{
    struct vsock_connection *c = LIST_FIRST(bucket(vsock, guest_port, host_port));

    while (c && (c->guest_port != guest_port || c->host_port != host_port))
        c = LIST_NEXT(c, table_link);
    return c;
}

void vsock_table_add(struct vsock_connection *c)
{
    LIST_INSERT_HEAD(bucket(c->vsock, c->guest_port, c->host_port), c, table_link);
    c->in_table = true;
}

void vsock_table_remove(struct vsock_connection *c)
{
    if (!c->in_table)
        return;
    LIST_REMOVE(c, table_link);
    c->in_table = false;
}

uint32_t vsock_table_new_host_port(struct vsock *vsock, uint32_t guest_port)
{
    uint32_t port;

    do {
        if (vsock->next_host_port < HOST_PORT_FIRST || vsock->next_host_port > HOST_PORT_LAST)
            vsock->next_host_port = HOST_PORT_FIRST;
        port = vsock->next_host_port++;
    } while (vsock_table_find(vsock, guest_port, port));
    return port;
}
