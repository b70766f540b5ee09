/* The line with which a host client says where it wants to: "CONNECT <port>\n". */
#ifndef OSVM_VIRTIO_VSOCK_CONNECT_LINE_H
#define OSVM_VIRTIO_VSOCK_CONNECT_LINE_H

#include <stddef.h>
#include <stdint.h>

#define VSOCK_CONNECT_LINE_MAX 32 /* bytes, with its end */

/* Zero-initialised means that nothing has come yet. */
struct vsock_connect_line {
    char text[VSOCK_CONNECT_LINE_MAX];
    size_t len;
};

/**
 * Take the next piece of the line.
 *
 * The line is the word CONNECT in either case, blanks, a port in decimal (0 to 4294967295), perhaps
 * blanks or a carriage return, and a line feed. Pieces may be cut anywhere.
 *
 * @ret_used  how many of the bytes belong to the line, its end included; what is behind them is the
 *            stream's. Set in every case.
 * @ret_port  set where the result is 1
 * Returns 1 where the line is whole, 0 where more is to come, -EPROTO where it is not such a line.
 */
int vsock_connect_line_feed(struct vsock_connect_line *line, const void *bytes, size_t len,
                            size_t *ret_used, uint32_t *ret_port);

#endif
