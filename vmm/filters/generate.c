/*
 * Makes the filters of osvm-vmm's threads out of the rules, at build time: a C file with the bytes
 * for each kind of thread and each set of features. With "list", prints the rules for people and
 * for the test that compares them with what is called.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rules.h"

static void die(const char *what, int code)
{
    fprintf(stderr, "filters: %s: %s\n", what, strerror(code < 0 ? -code : code));
    exit(1);
}

static int applies(const struct rule *rule, enum thread_kind kind, unsigned features)
{
    return (rule->threads & (1U << kind)) && (!rule->needs || (rule->needs & features));
}

static void add_rule(scmp_filter_ctx ctx, const struct rule *rule)
{
    struct scmp_arg_cmp checks[RULE_CHECKS];
    unsigned count = 0;
    int call = seccomp_syscall_resolve_name(rule->call), r;
    uint32_t action = rule->fails ? SCMP_ACT_ERRNO((uint32_t)rule->fails) : SCMP_ACT_ALLOW;

    if (call < 0)
        die(rule->call, ENOSYS);
    for (; count < RULE_CHECKS && rule->checks[count].mask; count++) {
        const struct rule_check *check = &rule->checks[count];

        checks[count] = (struct scmp_arg_cmp){
            .arg = check->argument,
            .op = SCMP_CMP_MASKED_EQ,
            .datum_a = check->mask,
            .datum_b = check->value,
        };
    }
    r = seccomp_rule_add_array(ctx, action, call, count, checks);
    if (r < 0)
        die(rule->call, r);
}

/* The bytes of one filter. Returns their number. */
static size_t make_filter(enum thread_kind kind, unsigned features, unsigned char *buf, size_t len)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int fd = memfd_create("filter", MFD_CLOEXEC), r;
    ssize_t n;

    if (!ctx || fd < 0)
        die("out of memory", ENOMEM);
    seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    for (size_t i = 0; i < rule_count; i++) {
        if (applies(&rules[i], kind, features))
            add_rule(ctx, &rules[i]);
    }
    r = seccomp_export_bpf(ctx, fd);
    if (r < 0)
        die("cannot export a filter", r);
    n = pread(fd, buf, len, 0);
    if (n <= 0 || (size_t)n == len)
        die("a filter is longer than expected", E2BIG);
    close(fd);
    seccomp_release(ctx);
    return (size_t)n;
}

/* Whether the features beyond these change anything for this kind of thread. */
static unsigned relevant(enum thread_kind kind, unsigned features)
{
    unsigned used = 0;

    for (size_t i = 0; i < rule_count; i++) {
        if (rules[i].threads & (1U << kind))
            used |= rules[i].needs;
    }
    return features & used;
}

/* One behind the other; without pointers, which a relocatable program would have to write. */
static void print_source(void)
{
    static unsigned char bytes[1 << 15];
    static size_t starts[THREAD_KINDS][FILTER_SETS], lens[THREAD_KINDS][FILTER_SETS];
    size_t at = 0;

    printf("/* Made by vmm/filters/generate.c. */\n#include \"filters.h\"\n\n"
           "const unsigned char filter_bytes[] __attribute__((aligned(8))) = {");
    for (unsigned kind = 0; kind < THREAD_KINDS; kind++) {
        for (unsigned features = 0; features < FILTER_SETS; features++) {
            if (relevant(kind, features) != features)
                continue;
            starts[kind][features] = at;
            lens[kind][features] = make_filter(kind, features, bytes, sizeof(bytes));
            for (size_t i = 0; i < lens[kind][features]; i++, at++)
                printf("%s%u,", at % 24 ? "" : "\n    ", bytes[i]);
        }
    }
    printf("\n};\n\nconst struct filter filters[THREAD_KINDS][FILTER_SETS] = {\n");
    for (unsigned kind = 0; kind < THREAD_KINDS; kind++) {
        for (unsigned features = 0; features < FILTER_SETS; features++) {
            unsigned same = relevant(kind, features);

            printf("    [%u][%u] = {%zu, %zu},\n", kind, features, starts[kind][same],
                   lens[kind][same]);
        }
    }
    printf("};\n");
}

/* A line a rule: threads, features, call, checks, reason; separated by tabs. */
static void print_list(void)
{
    for (size_t i = 0; i < rule_count; i++) {
        const struct rule *rule = &rules[i];

        printf("%u\t%u\t%s\t%d\t", rule->threads, rule->needs, rule->call, rule->fails);
        for (unsigned j = 0; j < RULE_CHECKS && rule->checks[j].mask; j++)
            printf("%s%u&0x%llx=0x%llx", j ? "," : "", rule->checks[j].argument,
                   (unsigned long long)rule->checks[j].mask,
                   (unsigned long long)rule->checks[j].value);
        printf("\t%s\n", rule->reason);
    }
}

int main(int argc, char *argv[])
{
    if (argc == 2 && strcmp(argv[1], "list") == 0)
        print_list();
    else
        print_source();
    return fflush(stdout) == 0 ? 0 : 1;
}
