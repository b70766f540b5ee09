/* SHA-256 (FIPS 180-4) and base64 (RFC 4648, section 4). */
#include "sdk/string.h"
#include "tools.h"

#define BLOCK  64
#define LENGTH 8 /* bytes of the length at the end */

/* FIPS 180-4, section 4.2.2. */
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static void mix(uint32_t state[8], const uint8_t block[BLOCK])
{
    uint32_t w[64], v[8];

    for (unsigned i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (unsigned i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];

        w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
               (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    memcpy(v, state, sizeof(v));
    for (unsigned i = 0; i < 64; i++) {
        uint32_t t1 = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) +
                      ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[i] + w[i];
        uint32_t t2 = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) +
                      ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

        memmove(v + 1, v, 7 * sizeof(v[0]));
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++)
        state[i] += v[i];
}

void tool_hash(struct mcp_call *call)
{
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    struct mcp_text text = mcp_argument_text(call, "text");
    const uint8_t *bytes = (const uint8_t *)text.bytes;
    size_t whole = text.length / BLOCK * BLOCK, rest = text.length - whole;
    size_t padded = rest + 1 + LENGTH <= BLOCK ? BLOCK : 2 * BLOCK;
    uint8_t last[2 * BLOCK] = {0};
    uint64_t bits = (uint64_t)text.length * 8;

    for (size_t at = 0; at < whole; at += BLOCK)
        mix(state, bytes + at);
    memcpy(last, bytes + whole, rest);
    last[rest] = 0x80;
    for (unsigned i = 0; i < LENGTH; i++)
        last[padded - 1 - i] = (uint8_t)(bits >> 8 * i);
    for (size_t at = 0; at < padded; at += BLOCK)
        mix(state, last + at);
    for (unsigned i = 0; i < 8; i++)
        mcp_print(call, "%08x", state[i]);
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode(struct mcp_call *call, struct mcp_text text)
{
    const uint8_t *b = (const uint8_t *)text.bytes;

    for (size_t at = 0; at < text.length; at += 3) {
        size_t left = text.length - at;
        uint32_t bits = (uint32_t)b[at] << 16 | (left > 1 ? (uint32_t)b[at + 1] << 8 : 0) |
                        (left > 2 ? b[at + 2] : 0);
        char quad[4] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63],
                        left > 1 ? alphabet[bits >> 6 & 63] : '=',
                        left > 2 ? alphabet[bits & 63] : '='};

        mcp_write(call, quad, sizeof(quad));
    }
}

/* Returns the bytes of a quad, 1 to 3, or 0 where it is none. */
static unsigned decode_quad(const char *quad, bool last, char ret_bytes[3])
{
    unsigned padding = quad[3] != '=' ? 0 : quad[2] != '=' ? 1 : 2;
    uint32_t bits = 0;

    if (padding > 0 && !last)
        return 0;
    for (unsigned i = 0; i < 4; i++) {
        const char *found = quad[i] ? strchr(alphabet, quad[i]) : NULL;

        if (!found && i < 4 - padding)
            return 0;
        bits = bits << 6 | (i < 4 - padding ? (uint32_t)(found - alphabet) : 0);
    }
    ret_bytes[0] = (char)(bits >> 16);
    ret_bytes[1] = (char)(bits >> 8);
    ret_bytes[2] = (char)bits;
    return 3 - padding;
}

static void decode(struct mcp_call *call, struct mcp_text text)
{
    char *decoded = mcp_alloc(call, text.length / 4 * 3 + 1);
    size_t length = 0;

    if (!decoded)
        return;
    if (text.length % 4 != 0) {
        mcp_fail(call, "this is not base64: its length is no multiple of 4");
        return;
    }
    for (size_t at = 0; at < text.length; at += 4) {
        unsigned got = decode_quad(text.bytes + at, at + 4 == text.length, decoded + length);

        if (got == 0) {
            mcp_fail(call, "this is not base64: see byte %lu", (unsigned long)at + 1);
            return;
        }
        length += got;
    }
    for (size_t at = 0; at < length;) {
        unsigned character = json_utf8_length(decoded + at, decoded + length);

        if (character == 0) {
            mcp_fail(call, "what it holds is no UTF-8: see byte %lu", (unsigned long)at + 1);
            return;
        }
        at += character;
    }
    mcp_write(call, decoded, length);
}

void tool_base64(struct mcp_call *call)
{
    struct mcp_text text = mcp_argument_text(call, "text");
    struct json direction;

    mcp_argument(call, "direction", &direction);
    if (json_text_is(direction, "encode"))
        encode(call, text);
    else
        decode(call, text);
}
