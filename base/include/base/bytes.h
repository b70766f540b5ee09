/* Little-endian numbers in byte buffers, at any alignment. Bounds are the caller's. */
#ifndef OSVM_BASE_BYTES_H
#define OSVM_BASE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t load_le16(const void *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return le16toh(v);
}

static inline uint32_t load_le32(const void *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static inline uint64_t load_le64(const void *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static inline void store_le16(void *p, uint16_t value)
{
    uint16_t v = htole16(value);

    memcpy(p, &v, sizeof(v));
}

static inline void store_le32(void *p, uint32_t value)
{
    uint32_t v = htole32(value);

    memcpy(p, &v, sizeof(v));
}

static inline void store_le64(void *p, uint64_t value)
{
    uint64_t v = htole64(value);

    memcpy(p, &v, sizeof(v));
}

#endif
