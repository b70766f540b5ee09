/* What the images share; with the notes that the build asks for. */
#include "hermit.h"

#define PORT_SERIAL    0x3f8
#define PORT_OSVM_EXIT 0x704

#define TEXT(x)       #x
#define TEXT_OF(x)    TEXT(x)
#define NOTE(section) ".pushsection " section ", \"a\", @note\n.balign 4\n"
#define NOTE_END      ".balign 4\n.popsection\n"

#ifdef HERMIT_ENTRY
__asm__(NOTE(".note.hermit.entry") ".long 7, 1, 0x5a00\n.asciz \"HERMIT\"\n.balign 4\n"
                                   ".byte " TEXT_OF(HERMIT_ENTRY) "\n" NOTE_END);
#endif
#ifdef HERMIT_INTERFACE
__asm__(NOTE(".note.uhyve.interface") ".long 8, 4, 0x5b00\n.asciz \"UHYVEIF\"\n"
                                      ".byte 0, 0, 0, " TEXT_OF(HERMIT_INTERFACE) "\n" NOTE_END);
#endif
#ifdef HERMIT_KERNEL_MINOR
__asm__(NOTE(".note.hermit.version") ".long 4, 16, 1\n.asciz \"GNU\"\n"
                                     ".long 6, 0, " TEXT_OF(HERMIT_KERNEL_MINOR) ", 0\n" NOTE_END);
#endif

struct entry_registers hermit_entry_registers = {0};

static unsigned reported, failed;

/* ---- Text. ---- */

void *memset(void *to, int value, size_t len);
void *memcpy(void *to, const void *from, size_t len);

void *memset(void *to, int value, size_t len)
{
    void *at = to;

    __asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(value) : "memory");
    return to;
}

void *memcpy(void *to, const void *from, size_t len)
{
    void *at = to;

    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(len) : : "memory");
    return to;
}

void put_text(const char *text)
{
    for (; *text; text++)
        out8(PORT_SERIAL, (uint8_t)*text);
}

static void put_in_base(uint64_t value, unsigned base)
{
    char digits[24];
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    while (count > 0)
        out8(PORT_SERIAL, (uint8_t)digits[--count]);
}

void put_number(uint64_t value)
{
    put_text("0x");
    put_in_base(value, 16);
}

void put_decimal(uint64_t value)
{
    put_in_base(value, 10);
}

bool begins_with(const char *text, const char *beginning)
{
    while (*beginning) {
        if (*text++ != *beginning++)
            return false;
    }
    return true;
}

bool same_text(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* ---- Results. ---- */

void report(bool good, const char *what)
{
    put_text(good ? "ok " : "not ok ");
    put_decimal(++reported);
    put_text(" - ");
    put_text(what);
    put_text("\n");
    failed += !good;
}

void report_equal(uint64_t value, uint64_t expected, const char *what)
{
    report(value == expected, what);
    if (value == expected)
        return;
    put_text("# it is ");
    put_number(value);
    put_text(", not ");
    put_number(expected);
    put_text("\n");
}

void hermit_end(uint8_t status)
{
    out32(PORT_OSVM_EXIT, status);
    for (;;)
        __asm__ volatile("hlt");
}

void report_end(void)
{
    put_text("1..");
    put_decimal(reported);
    put_text("\n");
    hermit_end(failed > 0);
}

/* ---- The device tree (Devicetree Specification, chapter 5). ---- */

enum { FDT_BEGIN_NODE = 1, FDT_END_NODE = 2, FDT_PROP = 3 };

uint32_t be32(const void *at)
{
    const uint8_t *b = at;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

uint64_t be64(const void *at)
{
    return (uint64_t)be32(at) << 32 | be32((const uint8_t *)at + 4);
}

static uint32_t text_length(const char *text)
{
    uint32_t len = 0;

    while (text[len])
        len++;
    return len;
}

const void *fdt_find(const struct boot_info *info, const char *node, unsigned nth,
                     const char *property, uint32_t *ret_size)
{
    const uint8_t *fdt = (const uint8_t *)info->fdt;
    const uint8_t *at = fdt + be32(fdt + 8);
    const char *strings = (const char *)fdt + be32(fdt + 12);
    bool inside = false;

    for (;;) {
        uint32_t token = be32(at);

        at += 4;
        if (token == FDT_BEGIN_NODE) {
            const char *name = (const char *)at;

            inside = begins_with(name, node) && (*node || !*name) && nth-- == 0;
            at += (text_length(name) + 4) / 4 * 4;
        } else if (token == FDT_PROP) {
            uint32_t size = be32(at);
            const char *name = strings + be32(at + 4);

            if (inside && same_text(name, property)) {
                if (ret_size)
                    *ret_size = size;
                return at + 8;
            }
            at += 8 + (size + 3) / 4 * 4;
        } else if (token == FDT_END_NODE) {
            inside = false;
        } else {
            return NULL;
        }
    }
}

static uint64_t parse_number(const char *text)
{
    uint64_t value = 0;

    if (begins_with(text, "0x")) {
        for (text += 2;; text++) {
            if (*text >= '0' && *text <= '9')
                value = value * 16 + (uint64_t)(*text - '0');
            else if (*text >= 'a' && *text <= 'f')
                value = value * 16 + (uint64_t)(*text - 'a' + 10);
            else
                return value;
        }
    }
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    return value;
}

uint64_t bootargs_number(const struct boot_info *info, const char *name)
{
    const char *text = fdt_find(info, "chosen", 0, "bootargs", NULL);
    uint32_t len = text_length(name);
    bool word = true;

    for (; text && *text; text++) {
        if (word && begins_with(text, name) && text[len] == '=')
            return parse_number(text + len + 1);
        word = *text == ' ';
    }
    return 0;
}

/* ---- Memory. ---- */

#define PRESENT_WRITABLE 3
#define LARGE_PAGE       0x83
#define ADDRESS_MASK     UINT64_C(0x000ffffffffff000)

void map_large_page(uint64_t address)
{
    static uint64_t directories[16][512] __attribute__((aligned(4096)));
    static unsigned used;
    uint64_t *top = (uint64_t *)(hermit_entry_registers.cr3 & ADDRESS_MASK);
    uint64_t *pointers = (uint64_t *)(top[0] & ADDRESS_MASK);
    uint64_t *pointer = &pointers[address >> 30];

    if (!*pointer)
        *pointer = (uint64_t)directories[used++] | PRESENT_WRITABLE;
    ((uint64_t *)(*pointer & ADDRESS_MASK))[address >> 21 & 511] =
        (address & ~UINT64_C(0x1fffff)) | LARGE_PAGE;
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}
