#include "net/mac.h"

#include <errno.h>
#include <string.h>

#define MAC_MULTICAST 0x01
#define MAC_LOCAL     0x02

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)

/* FNV-1a. */
static uint64_t hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * FNV_PRIME;
}

/* FNV leaves its high bits much alike for like inputs; this spreads them (the end of MurmurHash3).
 */
static uint64_t hash_finish(uint64_t hash)
{
    hash ^= hash >> 33;
    hash *= UINT64_C(0xff51afd7ed558ccd);
    hash ^= hash >> 33;
    hash *= UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ hash >> 33;
}

void net_mac_derive(const char *vm_id, unsigned index, uint8_t ret_mac[NET_MAC_LEN])
{
    uint64_t hash = FNV_OFFSET;

    for (const char *c = vm_id; *c; c++)
        hash = hash_byte(hash, (uint8_t)*c);
    hash = hash_byte(hash, 0);
    for (unsigned shift = 0; shift < 32; shift += 8)
        hash = hash_byte(hash, (uint8_t)(index >> shift));
    hash = hash_finish(hash);
    for (unsigned i = 0; i < NET_MAC_LEN; i++)
        ret_mac[i] = (uint8_t)(hash >> (8 * i));
    ret_mac[0] = (uint8_t)((ret_mac[0] & ~MAC_MULTICAST) | MAC_LOCAL);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int net_mac_parse(const char *text, uint8_t ret_mac[NET_MAC_LEN])
{
    static const uint8_t zero[NET_MAC_LEN];
    uint8_t mac[NET_MAC_LEN];

    if (strlen(text) != 3 * NET_MAC_LEN - 1)
        return -EINVAL;
    for (unsigned i = 0; i < NET_MAC_LEN; i++) {
        int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);

        if (high < 0 || low < 0 || (i + 1 < NET_MAC_LEN && text[3 * i + 2] != ':'))
            return -EINVAL;
        mac[i] = (uint8_t)(high << 4 | low);
    }
    if ((mac[0] & MAC_MULTICAST) || memcmp(mac, zero, sizeof(mac)) == 0)
        return -EADDRNOTAVAIL;
    memcpy(ret_mac, mac, sizeof(mac));
    return 0;
}
