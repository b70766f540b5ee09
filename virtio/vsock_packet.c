/* Offsets are those of struct virtio_vsock_hdr, virtio 1.2, section 5.10.6. */
#include "vsock_packet.h"

#include "base/bytes.h"
#include "base/util.h"

void vsock_header_load(const uint8_t *raw, struct vsock_header *ret_header)
{
    *ret_header = (struct vsock_header){
        .src_cid = load_le64(raw),
        .dst_cid = load_le64(raw + 8),
        .src_port = load_le32(raw + 16),
        .dst_port = load_le32(raw + 20),
        .len = load_le32(raw + 24),
        .type = load_le16(raw + 28),
        .op = load_le16(raw + 30),
        .flags = load_le32(raw + 32),
        .buf_alloc = load_le32(raw + 36),
        .fwd_cnt = load_le32(raw + 40),
    };
}

void vsock_header_store(uint8_t *raw, const struct vsock_header *header)
{
    store_le64(raw, header->src_cid);
    store_le64(raw + 8, header->dst_cid);
    store_le32(raw + 16, header->src_port);
    store_le32(raw + 20, header->dst_port);
    store_le32(raw + 24, header->len);
    store_le16(raw + 28, header->type);
    store_le16(raw + 30, header->op);
    store_le32(raw + 32, header->flags);
    store_le32(raw + 36, header->buf_alloc);
    store_le32(raw + 40, header->fwd_cnt);
}

unsigned vsock_slice(const struct iovec *iov, unsigned count, size_t skip, size_t len,
                     struct iovec *ret_iov)
{
    unsigned used = 0;

    for (unsigned i = 0; i < count && len > 0; i++) {
        size_t part;

        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        part = min_u64(iov[i].iov_len - skip, len);
        ret_iov[used++] =
            (struct iovec){.iov_base = (uint8_t *)iov[i].iov_base + skip, .iov_len = part};
        len -= part;
        skip = 0;
    }
    return used;
}
