#include "aml.h"

#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

/* ACPI 6.5, section 20.3, table 20.2. */
enum {
    AML_ZERO = 0x00,
    AML_ONE = 0x01,
    AML_NAME = 0x08,
    AML_BYTE_PREFIX = 0x0a,
    AML_WORD_PREFIX = 0x0b,
    AML_DWORD_PREFIX = 0x0c,
    AML_STRING_PREFIX = 0x0d,
    AML_QWORD_PREFIX = 0x0e,
    AML_SCOPE = 0x10,
    AML_BUFFER = 0x11,
    AML_PACKAGE = 0x12,
    AML_EXTENDED_PREFIX = 0x5b,
    AML_EXTENDED_DEVICE = 0x82,
};

#define NAME_SEGMENT_SIZE 4

/*
 * Section 20.2.4: the length of a package, itself included, in one to four bytes. Always three
 * here, so that it can be filled in when the end is known: up to 1 MiB, more than any buffer.
 */
#define PACKAGE_LENGTH_SIZE  3
#define PACKAGE_LENGTH_THREE 0x80 /* two bytes follow the first */

/* The size of a buffer is a term of its own, here always a word. */
#define BUFFER_SIZE_SIZE 3

void aml_bytes(struct aml *aml, const void *bytes, size_t len)
{
    if (aml->overflow || !range_inside(aml->used, len, aml->size)) {
        aml->overflow = true;
        return;
    }
    memcpy(aml->buf + aml->used, bytes, len);
    aml->used += len;
}

static void aml_byte(struct aml *aml, uint8_t byte)
{
    aml_bytes(aml, &byte, 1);
}

static void aml_segment(struct aml *aml, const char *name)
{
    aml_bytes(aml, name, NAME_SEGMENT_SIZE);
}

void aml_name(struct aml *aml, const char *name)
{
    aml_byte(aml, AML_NAME);
    aml_segment(aml, name);
}

/* A constant of `width` bytes after its prefix. */
static void aml_constant(struct aml *aml, uint8_t prefix, uint64_t value, size_t width)
{
    uint8_t bytes[8];

    aml_byte(aml, prefix);
    store_le64(bytes, value);
    aml_bytes(aml, bytes, width);
}

void aml_integer(struct aml *aml, uint64_t value)
{
    if (value == 0)
        aml_byte(aml, AML_ZERO);
    else if (value == 1)
        aml_byte(aml, AML_ONE);
    else if (value <= UINT8_MAX)
        aml_constant(aml, AML_BYTE_PREFIX, value, 1);
    else if (value <= UINT16_MAX)
        aml_constant(aml, AML_WORD_PREFIX, value, 2);
    else if (value <= UINT32_MAX)
        aml_constant(aml, AML_DWORD_PREFIX, value, 4);
    else
        aml_constant(aml, AML_QWORD_PREFIX, value, 8);
}

void aml_string(struct aml *aml, const char *text)
{
    aml_byte(aml, AML_STRING_PREFIX);
    aml_bytes(aml, text, strlen(text) + 1);
}

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A' + 10);
}

void aml_eisa_id(struct aml *aml, const char *id)
{
    unsigned letters = (id[0] - 0x40U) << 10 | (id[1] - 0x40U) << 5 | (id[2] - 0x40U);
    uint8_t bytes[4] = {
        (uint8_t)(letters >> 8),
        (uint8_t)letters,
        (uint8_t)(hex_digit(id[3]) << 4 | hex_digit(id[4])),
        (uint8_t)(hex_digit(id[5]) << 4 | hex_digit(id[6])),
    };

    aml_byte(aml, AML_DWORD_PREFIX);
    aml_bytes(aml, bytes, sizeof(bytes));
}

/* Leave room for a package's length. Returns where it is. */
static size_t aml_open(struct aml *aml)
{
    static const uint8_t room[PACKAGE_LENGTH_SIZE];
    size_t mark = aml->used;

    aml_bytes(aml, room, sizeof(room));
    return mark;
}

void aml_close(struct aml *aml, size_t mark)
{
    size_t len = aml->used - mark;

    if (aml->overflow)
        return;
    aml->buf[mark] = (uint8_t)(PACKAGE_LENGTH_THREE | (len & 0x0f));
    aml->buf[mark + 1] = (uint8_t)(len >> 4);
    aml->buf[mark + 2] = (uint8_t)(len >> 12);
}

size_t aml_open_scope(struct aml *aml, const char *name)
{
    size_t mark;

    aml_byte(aml, AML_SCOPE);
    mark = aml_open(aml);
    aml_segment(aml, name);
    return mark;
}

size_t aml_open_device(struct aml *aml, const char *name)
{
    size_t mark;

    aml_byte(aml, AML_EXTENDED_PREFIX);
    aml_byte(aml, AML_EXTENDED_DEVICE);
    mark = aml_open(aml);
    aml_segment(aml, name);
    return mark;
}

size_t aml_open_package(struct aml *aml, uint8_t elements)
{
    size_t mark;

    aml_byte(aml, AML_PACKAGE);
    mark = aml_open(aml);
    aml_byte(aml, elements);
    return mark;
}

size_t aml_open_resources(struct aml *aml)
{
    size_t mark;

    aml_byte(aml, AML_BUFFER);
    mark = aml_open(aml);
    aml_constant(aml, AML_WORD_PREFIX, 0, 2);
    return mark;
}

void aml_close_resources(struct aml *aml, size_t mark)
{
    /* Section 6.4.2.9: the end tag; a checksum of 0 is taken as right. */
    static const uint8_t end_tag[] = {0x79, 0x00};
    size_t content = mark + PACKAGE_LENGTH_SIZE + BUFFER_SIZE_SIZE;

    aml_bytes(aml, end_tag, sizeof(end_tag));
    if (aml->overflow)
        return;
    store_le16(aml->buf + content - 2, (uint16_t)(aml->used - content));
    aml_close(aml, mark);
}

/* Section 6.4.2.5. */
void aml_resource_io(struct aml *aml, uint16_t base, uint8_t size)
{
    uint8_t bytes[] = {0x47, 0x01 /* 16-bit decode */, 0, 0, 0, 0, 1 /* alignment */, size};

    store_le16(bytes + 2, base);
    store_le16(bytes + 4, base);
    aml_bytes(aml, bytes, sizeof(bytes));
}

/* Section 6.4.3.6. */
void aml_resource_edge_interrupt(struct aml *aml, uint32_t gsi)
{
    /* Flags: consumer (bit 0), edge (bit 1), active high (bit 2 clear), exclusive (3 clear). */
    uint8_t bytes[] = {0x89, 6, 0, 0x03, 1 /* interrupt */, 0, 0, 0, 0};

    store_le32(bytes + 5, gsi);
    aml_bytes(aml, bytes, sizeof(bytes));
}

/* Section 6.4.3.4. */
void aml_resource_memory32(struct aml *aml, uint32_t base, uint32_t size)
{
    uint8_t bytes[12] = {0x86, 9, 0, 0x01 /* writable */};

    store_le32(bytes + 4, base);
    store_le32(bytes + 8, size);
    aml_bytes(aml, bytes, sizeof(bytes));
}

/* Section 6.4.3.5.1. */
void aml_resource_memory64(struct aml *aml, uint64_t base, uint64_t size)
{
    /* Type memory; the minimum (bit 2) and maximum (bit 3) are fixed, bit 0 consumer; writable. */
    uint8_t bytes[46] = {0x8a, 43, 0, 0x00, 0x0d, 0x01};

    store_le64(bytes + 14, base);            /* after the granularity, 0 */
    store_le64(bytes + 22, base + size - 1); /* the last address; then the translation, 0 */
    store_le64(bytes + 38, size);
    aml_bytes(aml, bytes, sizeof(bytes));
}

/* Of an address space descriptor: a producer (bit 0 clear), minimum and maximum fixed. */
#define PRODUCER_FIXED 0x0c

/* Section 6.4.3.5.3. */
void aml_resource_buses(struct aml *aml, uint8_t first, uint8_t last)
{
    uint8_t bytes[16] = {0x88, 13, 0, 2 /* bus numbers */, PRODUCER_FIXED, 0};

    store_le16(bytes + 8, first); /* after the granularity, 0 */
    store_le16(bytes + 10, last); /* then the translation, 0 */
    store_le16(bytes + 14, (uint16_t)(last - first + 1));
    aml_bytes(aml, bytes, sizeof(bytes));
}

/* Section 6.4.3.5.2. */
void aml_resource_window32(struct aml *aml, uint32_t base, uint32_t size)
{
    uint8_t bytes[26] = {0x87, 23, 0, 0 /* memory */, PRODUCER_FIXED, 0x01 /* writable */};

    store_le32(bytes + 10, base);            /* after the granularity, 0 */
    store_le32(bytes + 14, base + size - 1); /* the last address; then the translation, 0 */
    store_le32(bytes + 22, size);
    aml_bytes(aml, bytes, sizeof(bytes));
}
