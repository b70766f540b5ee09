/* Finds the case, runs it, and looks at what is left. */
#include "hostile.h"
#include "sdk/block.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/exit.h"
#include "sdk/report.h"
#include "sdk/rng.h"
#include "sdk/string.h"
#include "victims.h"

static const struct hostile_case *const all[] = {
    ring_cases, indirect_cases, place_cases, setup_cases, race_cases,    mmio_cases,
    pci_cases,  block_cases,    net_cases,   vsock_cases, balloon_cases, rng_cases,
};

/* The witness: the rng, or where that is the victim, the first disk. */
static struct rng witness_rng;
static struct block witness_block;
static bool witness_is_block;

static bool witness_start(void)
{
    witness_is_block = victim_kind()->id == VIRTIO_ID_RNG;
    return witness_is_block ? block_open(&witness_block, 0, UINT64_MAX) : rng_open(&witness_rng, 0);
}

static bool witness_works(void)
{
    static uint8_t bytes[BLOCK_SECTOR];

    if (witness_is_block)
        return block_write(&witness_block, 1, bytes, sizeof(bytes)) == BLOCK_OK &&
               block_read(&witness_block, 1, bytes, sizeof(bytes)) == BLOCK_OK;
    return rng_read(&witness_rng, bytes, sizeof(bytes)) > 0;
}

static bool is_word(const char *value, const char *word)
{
    size_t length = strlen(word);

    return strncmp(value, word, length) == 0 && (value[length] == ' ' || value[length] == 0);
}

static void list(void)
{
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        for (const struct hostile_case *c = all[i]; c->name; c++)
            printf("case %s\n", c->name);
}

static const struct hostile_case *find(const char *name)
{
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        for (const struct hostile_case *c = all[i]; c->name; c++)
            if (is_word(name, c->name))
                return c;
    return NULL;
}

int main(void)
{
    const char *name = boot_option("case"), *kind = boot_option("victim");
    const struct hostile_case *chosen = name ? find(name) : NULL;

    if (name && is_word(name, "list")) {
        list();
        return 0;
    }
    if (!report(chosen != NULL, "there is such a case") ||
        !report(victim_choose(kind ? kind : "rng"), "there is such a victim") ||
        !report(witness_start() && witness_works(), "the witness works before"))
        return report_summary();
    chosen->attack();
    report(witness_works(), "the witness works after");
    report(victim_kind()->works(), "the victim works after a reset");
    report(witness_works(), "and the witness still does");
    return report_summary();
}
