/*
 * Level tee: hardware that keeps its memory from the host. It starts only where that hardware is;
 * no machine with it was there to write the start for, so it is a refusal that says what was found.
 */
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "runtime.h"

struct feature {
    const char *name;
    unsigned leaf, subleaf; /* CPUID's EAX and ECX */
    enum { EAX, EBX, ECX, EDX } place;
    unsigned bit;
    const char *device; /* what the kernel makes of it; NULL: nothing */
};

static const struct feature features[] = {
    /* Intel SDM volume 3D, chapter 37.7.2: CPUID leaf 7, EBX bit 2. */
    {"SGX", 7, 0, EBX, 2, "/dev/sgx_enclave"},
    /* Intel SDM volume 2A, CPUID: leaf 7, ECX bit 13. */
    {"TME", 7, 0, ECX, 13, NULL},
    /* AMD APM volume 3, E.4.17: leaf 8000001F, EAX bits 1, 3, 4. */
    {"SEV", 0x8000001f, 0, EAX, 1, "/dev/sev"},
    {"SEV-ES", 0x8000001f, 0, EAX, 3, "/dev/sev"},
    {"SEV-SNP", 0x8000001f, 0, EAX, 4, "/dev/sev"},
};

static bool has(const struct feature *feature)
{
    unsigned registers[4];

    return __get_cpuid_count(feature->leaf, feature->subleaf, &registers[0], &registers[1],
                             &registers[2], &registers[3]) &&
           (registers[feature->place] >> feature->bit & 1);
}

static void probe(struct runtime_probe *ret_probe)
{
    char found[128] = "", missing[128] = "";

    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        bool there = has(&features[i]) &&
                     (!features[i].device || access(features[i].device, R_OK | W_OK) == 0);
        char *list = there ? found : missing;
        size_t len = strlen(list);

        snprintf(list + len, sizeof(found) - len, "%s%s", len ? ", " : "", features[i].name);
    }
    *ret_probe = (struct runtime_probe){0};
    snprintf(ret_probe->why, sizeof(ret_probe->why),
             "looked for by CPUID and /dev, not found: %s%s%s%s", missing,
             *found ? "; found: " : "", found, *found ? ", for which there is no start yet" : "");
    snprintf(ret_probe->remedy, sizeof(ret_probe->remedy),
             "none on this machine: it needs a CPU with SEV-SNP or SGX that the firmware has on");
}

static int check(const struct component *component, struct error *err)
{
    struct runtime_probe found;

    (void)component;
    probe(&found);
    return error_set(err, -EOPNOTSUPP, "level tee: %s", found.why);
}

static int prepare(const struct component *component, const struct paths *paths,
                   struct launch *ret_launch, struct error *err)
{
    (void)paths;
    (void)ret_launch;
    return check(component, err);
}

const struct runtime runtime_tee = {
    .name = "tee",
    .level = LEVEL_TEE,
    .probe = probe,
    .check = check,
    .prepare = prepare,
};
