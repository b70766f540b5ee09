#include "component.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/util.h"

#define LEVEL(level) (UINT64_C(1) << (level))
#define VM_LEVELS    (LEVEL(LEVEL_MICRO_VM) | LEVEL(LEVEL_UNIKERNEL) | LEVEL(LEVEL_TEE))
#define LINUX_LEVELS (LEVEL(LEVEL_MICRO_VM) | LEVEL(LEVEL_TEE))
#define HOST_LEVELS  (LEVEL(LEVEL_NONE) | LEVEL(LEVEL_PROCESS_SANDBOX) | LEVEL(LEVEL_CONTAINER))

/* What follows from the trust level, where the file says nothing. */
static const struct {
    enum isolation_level level;
    uint64_t memory_mb, cpu_cores;
    enum network_access access;
    uint64_t execution_time_sec;
} trust_defaults[] = {
    [TRUST_FULL] = {LEVEL_PROCESS_SANDBOX, 512, 4, NETWORK_FULL, FIELD_UNSET},
    [TRUST_VERIFIED] = {LEVEL_CONTAINER, 512, 2, NETWORK_RESTRICTED, FIELD_UNSET},
    [TRUST_COMMUNITY] = {LEVEL_MICRO_VM, 256, 2, NETWORK_VSOCK_ONLY, FIELD_UNSET},
    [TRUST_NONE] = {LEVEL_UNIKERNEL, 128, 1, NETWORK_NONE, 10},
};

unsigned isolation_score(enum isolation_level level)
{
    static const unsigned scores[LEVEL_COUNT] = {
        [LEVEL_NONE] = 0,      [LEVEL_PROCESS_SANDBOX] = 40, [LEVEL_CONTAINER] = 60,
        [LEVEL_MICRO_VM] = 80, [LEVEL_UNIKERNEL] = 95,       [LEVEL_TEE] = 100,
    };

    return scores[level];
}

bool component_is_security_critical(const struct component *component)
{
    return component->type.kind == TYPE_OSVM_CORE || component->type.kind == TYPE_VALIDATOR;
}

static void apply_trust(struct component *component)
{
    unsigned trust = (unsigned)component->trust_level;

    if (component->isolation.level == FIELD_WORD_UNSET) {
        component->isolation.level = trust_defaults[trust].level;
        if (component_is_security_critical(component) &&
            component->isolation.level < LEVEL_MICRO_VM)
            component->isolation.level = LEVEL_MICRO_VM;
    }
    if (component->limits.memory_mb == FIELD_UNSET)
        component->limits.memory_mb = trust_defaults[trust].memory_mb;
    if (component->limits.cpu_cores == FIELD_UNSET)
        component->limits.cpu_cores = trust_defaults[trust].cpu_cores;
    if (component->limits.execution_time_sec == FIELD_UNSET)
        component->limits.execution_time_sec = trust_defaults[trust].execution_time_sec;
    if (component->network.access == FIELD_WORD_UNSET) {
        component->network.access = trust_defaults[trust].access;
        /* Without a virtual machine there is no vsock, and then nothing is left of it. */
        if (component->network.access == NETWORK_VSOCK_ONLY &&
            !(LEVEL(component->isolation.level) & VM_LEVELS))
            component->network.access = NETWORK_NONE;
    }
}

/* --- what makes sense as a whole ----------------------------------------------------------------
 */

struct checking {
    const struct document *document;
    const struct component *component;
    struct mistakes *mistakes;
};

/* The line of a key in one of the component's mappings; that of what it would be in if absent. */
static unsigned line_in(const struct checking *checking, const char *mapping, const char *key)
{
    json_t *root = document_root(checking->document);
    json_t *inner = mapping ? json_object_get(root, mapping) : root;
    unsigned line = 0;

    if (json_is_object(inner))
        line = document_key_line(checking->document, inner, key);
    if (!line && mapping)
        line = document_key_line(checking->document, root, mapping);
    return line ? line : document_key_line(checking->document, root, NULL);
}

/* A key of `isolation` that only some levels have. */
struct level_key {
    const char *key;
    size_t offset;
    uint64_t levels;
};

#define LEVEL_KEY(member, levels_)                           \
    {                                                        \
#member, offsetof(struct isolation, member), levels_ \
    }

static void check_level_keys(const struct checking *checking)
{
    static const struct level_key keys[] = {
        LEVEL_KEY(seccomp_profile, LEVEL(LEVEL_PROCESS_SANDBOX) | LEVEL(LEVEL_CONTAINER)),
        LEVEL_KEY(apparmor_profile, LEVEL(LEVEL_PROCESS_SANDBOX) | LEVEL(LEVEL_CONTAINER)),
        LEVEL_KEY(runtime, LEVEL(LEVEL_CONTAINER) | LEVEL(LEVEL_UNIKERNEL)),
        LEVEL_KEY(image, LEVEL(LEVEL_CONTAINER)),
        LEVEL_KEY(bundle, LEVEL(LEVEL_CONTAINER)),
        LEVEL_KEY(root_path, LEVEL(LEVEL_PROCESS_SANDBOX) | LEVEL(LEVEL_CONTAINER)),
        LEVEL_KEY(kernel_path, LINUX_LEVELS),
        LEVEL_KEY(initrd_path, LINUX_LEVELS),
        LEVEL_KEY(rootfs_path, LINUX_LEVELS),
        LEVEL_KEY(kernel_args, LINUX_LEVELS),
        LEVEL_KEY(image_path, LEVEL(LEVEL_UNIKERNEL)),
    };
    const struct isolation *isolation = &checking->component->isolation;
    /* A weaker level that is allowed has its keys too. */
    uint64_t levels = LEVEL(isolation->level) | isolation->allow_weaker;

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *value =
            *(char *const *)(const void *)((const char *)isolation + keys[i].offset);

        if (value && !(keys[i].levels & levels))
            mistakes_add(checking->mistakes, line_in(checking, "isolation", keys[i].key),
                         "isolation.%s: there is none at level %s", keys[i].key,
                         isolation_level_name((enum isolation_level)isolation->level));
    }
    if (isolation->tee_type != FIELD_WORD_UNSET && !(LEVEL(LEVEL_TEE) & levels))
        mistakes_add(checking->mistakes, line_in(checking, "isolation", "tee_type"),
                     "isolation.tee_type: it is for level tee");
}

/* What a level can't do without. */
static void check_level_needs(const struct checking *checking, enum isolation_level level)
{
    const struct component *component = checking->component;
    const struct isolation *isolation = &component->isolation;
    unsigned line = line_in(checking, "isolation", "level");
    unsigned sources =
        (isolation->image != NULL) + (isolation->bundle != NULL) + (isolation->root_path != NULL);

    if ((level == LEVEL_NONE || level == LEVEL_PROCESS_SANDBOX) && !component->command.count)
        mistakes_add(checking->mistakes, line, "command: level %s wants one: what is to be run",
                     isolation_level_name(level));
    if (level == LEVEL_CONTAINER && sources != 1)
        mistakes_add(checking->mistakes, line,
                     "isolation: level container wants one of image, bundle and root_path");
    if (level == LEVEL_CONTAINER && isolation->root_path && !component->command.count)
        mistakes_add(checking->mistakes, line, "command: a container of a root folder wants one");
    if ((level == LEVEL_MICRO_VM || level == LEVEL_TEE) && !isolation->kernel_path)
        mistakes_add(checking->mistakes, line, "isolation.kernel_path: level %s wants a kernel",
                     isolation_level_name(level));
    if (level == LEVEL_UNIKERNEL && !isolation->image_path &&
        component->type.kind != TYPE_MCP_SERVER)
        mistakes_add(checking->mistakes, line,
                     "isolation.image_path: level unikernel wants an image (only an mcp_server has "
                     "one of its own)");
}

static void check_levels(const struct checking *checking)
{
    const struct component *component = checking->component;
    const struct isolation *isolation = &component->isolation;

    for (int level = 0; level < LEVEL_COUNT; level++) {
        if (level == isolation->level)
            check_level_needs(checking, (enum isolation_level)level);
        else if (!(isolation->allow_weaker & LEVEL(level)))
            continue;
        else if (level > isolation->level)
            mistakes_add(checking->mistakes, line_in(checking, "isolation", "allow_weaker"),
                         "isolation.allow_weaker: %s is not weaker than %s",
                         isolation_level_name((enum isolation_level)level),
                         isolation_level_name((enum isolation_level)isolation->level));
        if (component_is_security_critical(component) && level < LEVEL_MICRO_VM &&
            !isolation->force)
            mistakes_add(checking->mistakes, line_in(checking, "isolation", "level"),
                         "isolation: a %s is not run below micro_vm (%s) unless isolation.force is "
                         "true",
                         component_kind_name((enum component_kind)component->type.kind),
                         isolation_level_name((enum isolation_level)level));
    }
}

static void check_type(const struct checking *checking)
{
    const struct component_type *type = &checking->component->type;
    bool chain = type->kind == TYPE_VALIDATOR || type->kind == TYPE_RPC_NODE;
    bool named = type->kind == TYPE_MCP_SERVER || type->kind == TYPE_SERVICE;
    const struct {
        const char *key, *value;
        bool fits;
    } keys[] = {
        {"network", type->network, chain},
        {"identity", type->identity, type->kind == TYPE_VALIDATOR},
        {"bind_address", type->bind_address, type->kind == TYPE_RPC_NODE},
        {"name", type->name, named},
        {"version", type->version, type->kind == TYPE_MCP_SERVER},
    };

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (keys[i].value && !keys[i].fits)
            mistakes_add(checking->mistakes, line_in(checking, "component_type", keys[i].key),
                         "component_type.%s: a %s has none", keys[i].key,
                         component_kind_name((enum component_kind)type->kind));
    }
    if (chain && !type->network)
        mistakes_add(checking->mistakes, line_in(checking, "component_type", "type"),
                     "component_type.network: a %s wants the name of its network",
                     component_kind_name((enum component_kind)type->kind));
}

/* An IPv4 or IPv6 address, perhaps with a prefix length. */
static bool is_network(const char *text)
{
    unsigned char address[sizeof(struct in6_addr)];
    char host[INET6_ADDRSTRLEN];
    const char *slash = strchrnul(text, '/');
    size_t len = (size_t)(slash - text);
    uint64_t bits;
    bool v4, v6;

    if (len >= sizeof(host))
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    v4 = inet_pton(AF_INET, host, address) == 1;
    v6 = inet_pton(AF_INET6, host, address) == 1;
    return (v4 || v6) && (!*slash || parse_u64(slash + 1, 0, v4 ? 32 : 128, &bits) == 0);
}

/* "443" or "8000-8100". */
static bool is_port_range(const char *text)
{
    char first[8];
    size_t len = strcspn(text, "-");
    uint64_t low, high;

    if (len >= sizeof(first))
        return false;
    memcpy(first, text, len);
    first[len] = '\0';
    if (parse_u64(first, 1, UINT16_MAX, &low) < 0)
        return false;
    return !text[len] || parse_u64(text + len + 1, low, UINT16_MAX, &high) == 0;
}

static void check_rule(const struct checking *checking, const struct firewall_rule *rule,
                       size_t number)
{
    unsigned line = line_in(checking, "network", "firewall_rules");
    bool has_ports = rule->protocol == FIREWALL_TCP || rule->protocol == FIREWALL_UDP;

    if (rule->port_range && !has_ports)
        mistakes_add(checking->mistakes, line,
                     "network.firewall_rules.%zu: port_range goes with protocol tcp or udp",
                     number);
    else if (rule->port_range && !is_port_range(rule->port_range))
        mistakes_add(checking->mistakes, line,
                     "network.firewall_rules.%zu.port_range: '%.32s' is no port, and no range like "
                     "8000-8100",
                     number, rule->port_range);
    if (rule->source && !is_network(rule->source))
        mistakes_add(checking->mistakes, line,
                     "network.firewall_rules.%zu.source: '%.64s' is no address and no network",
                     number, rule->source);
    if (rule->destination && !is_network(rule->destination))
        mistakes_add(checking->mistakes, line,
                     "network.firewall_rules.%zu.destination: '%.64s' is no address and no network",
                     number, rule->destination);
}

static void check_network(const struct checking *checking)
{
    const struct network *network = &checking->component->network;
    const struct firewall_rule *rules = network->firewall_rules.items;

    for (size_t i = 0; i < network->allowed_destinations.count; i++) {
        if (!is_network(network->allowed_destinations.items[i]))
            mistakes_add(checking->mistakes, line_in(checking, "network", "allowed_destinations"),
                         "network.allowed_destinations.%zu: '%.64s' is no address and no network",
                         i + 1, network->allowed_destinations.items[i]);
    }
    if (network->allowed_destinations.count && network->access != NETWORK_RESTRICTED)
        mistakes_add(checking->mistakes, line_in(checking, "network", "allowed_destinations"),
                     "network.allowed_destinations: it goes with access restricted, not %s",
                     network_access_name((enum network_access)network->access));
    if (network->access == NETWORK_VSOCK_ONLY &&
        !(LEVEL(checking->component->isolation.level) & VM_LEVELS))
        mistakes_add(checking->mistakes, line_in(checking, "network", "access"),
                     "network.access: vsock_only is for virtual machines; say none or internal");
    for (size_t i = 0; i < network->firewall_rules.count; i++)
        check_rule(checking, &rules[i], i + 1);
}

/* What a probe of this kind has to say. */
static void check_probe(const struct checking *checking, const struct probe *probe,
                        const char *name)
{
    bool wants_port =
        probe->kind == PROBE_VSOCK || probe->kind == PROBE_TCP || probe->kind == PROBE_HTTP;
    bool vm = LEVEL(checking->component->isolation.level) & VM_LEVELS;
    unsigned line = line_in(checking, name, "type");

    if (wants_port && probe->port == FIELD_UNSET)
        mistakes_add(checking->mistakes, line, "%s.port: this probe wants one", name);
    if (probe->kind != PROBE_VSOCK && wants_port && probe->port != FIELD_UNSET &&
        probe->port > UINT16_MAX)
        mistakes_add(checking->mistakes, line_in(checking, name, "port"),
                     "%s.port: the last port is 65535", name);
    if (probe->kind == PROBE_EXEC && !probe->command.count)
        mistakes_add(checking->mistakes, line, "%s.command: this probe wants one", name);
    if (probe->kind == PROBE_CONSOLE && (!probe->pattern || !*probe->pattern))
        mistakes_add(checking->mistakes, line, "%s.pattern: this probe wants one", name);
    if ((probe->kind == PROBE_VSOCK || probe->kind == PROBE_GUEST) && !vm)
        mistakes_add(checking->mistakes, line, "%s.type: this probe is for virtual machines", name);
    if ((probe->kind == PROBE_TCP || probe->kind == PROBE_HTTP) && vm)
        mistakes_add(checking->mistakes, line,
                     "%s.type: the host reaches no TCP port of a virtual machine; probe a vsock "
                     "port, or the guest's own word",
                     name);
    if (probe->kind == PROBE_EXEC && vm)
        mistakes_add(checking->mistakes, line,
                     "%s.type: nothing can be run in a virtual machine from outside; probe a port",
                     name);
}

static void check_mounts(const struct checking *checking)
{
    const struct component *component = checking->component;
    const struct mount *mounts = component->mounts.items;
    bool host = LEVEL(component->isolation.level) & HOST_LEVELS;

    for (size_t i = 0; i < component->mounts.count; i++) {
        const char *guest = mounts[i].guest_path;

        if (guest && host && guest[0] != '/')
            mistakes_add(checking->mistakes, line_in(checking, NULL, "mounts"),
                         "mounts.%zu.guest_path: an absolute path is wanted", i + 1);
        if (guest && !host && (strlen(guest) > 35 || strchr(guest, '/')))
            mistakes_add(checking->mistakes, line_in(checking, NULL, "mounts"),
                         "mounts.%zu.guest_path: in a VM it is a tag of at most 35 bytes without /",
                         i + 1);
    }
}

static void check_whole(const struct checking *checking)
{
    const struct component *component = checking->component;

    check_levels(checking);
    check_level_keys(checking);
    check_type(checking);
    check_network(checking);
    check_mounts(checking);
    check_probe(checking, &component->readiness, "readiness");
    check_probe(checking, &component->health, "health");
    if (component->restart.max_delay_ms < component->restart.delay_ms)
        mistakes_add(checking->mistakes, line_in(checking, "restart", "max_delay_ms"),
                     "restart.max_delay_ms: it is less than delay_ms");
    for (size_t i = 0; i < component->depends_on.count; i++) {
        if (component->metadata.name &&
            strcmp(component->depends_on.items[i], component->metadata.name) == 0)
            mistakes_add(checking->mistakes, line_in(checking, NULL, "depends_on"),
                         "depends_on.%zu: a component can't depend on itself", i + 1);
    }
}

enum probe_kind component_readiness(const struct component *component, enum isolation_level level)
{
    int kind = component->readiness.kind;

    if (kind == FIELD_WORD_UNSET) /* the image of our own says it itself */
        return level == LEVEL_UNIKERNEL && !component->isolation.image_path ? PROBE_GUEST
                                                                            : PROBE_STARTED;
    /* A weaker level that was allowed has no guest that could. */
    return kind == PROBE_GUEST && level < LEVEL_MICRO_VM ? PROBE_STARTED : (enum probe_kind)kind;
}

bool component_has_streams(const struct component *component, enum isolation_level level)
{
    return component->type.kind == TYPE_MCP_SERVER && (LEVEL(level) & HOST_LEVELS);
}

unsigned component_user(const struct component *component)
{
    unsigned random = 0;

    /* The last digits of its id are random (RFC 4122, section 4.4). */
    sscanf(component->id + strlen(component->id) - 8, "%8x", &random);
    return 0x40000000U + random % 0x30000000U; /* below those that osvm-vmm takes by itself */
}

int component_read(const struct document *document, struct component *ret_component,
                   struct mistakes *mistakes)
{
    struct checking checking = {
        .document = document, .component = ret_component, .mistakes = mistakes};
    int r;

    schema_init(&component_schema, ret_component);
    r = schema_read(&component_schema, document, document_root(document), ret_component, mistakes);
    if (r < 0)
        return r;
    apply_trust(ret_component);
    if (ret_component->type.kind != FIELD_WORD_UNSET)
        check_whole(&checking);
    mistakes_sort(mistakes);
    return 0;
}

void component_free(struct component *component)
{
    schema_free(&component_schema, component);
}

json_t *component_write(const struct component *component)
{
    return schema_write(&component_schema, component);
}
