/* The keys of a component file: the tables. Words stand in the order of their enums. */
#include <ctype.h>
#include <string.h>

#include "base/util.h"
#include "component.h"

#define AT(type, member) .offset = offsetof(struct type, member)
#define WORD(value)      .preset = (value) + 1
#define LEVEL_BIT(level) (UINT64_C(1) << (level))

#define SCHEMA(variable, title, record, table)                            \
    static const struct schema variable = {.name = title,                 \
                                           .size = sizeof(struct record), \
                                           .fields = table,               \
                                           .field_count = ARRAY_SIZE(table)}

#define WORD_TABLE(name, ...)                               \
    static const char *const name##_list[] = {__VA_ARGS__}; \
    static const struct words name##_words = {name##_list, ARRAY_SIZE(name##_list)}

WORD_TABLE(level, "none", "process_sandbox", "container", "micro_vm", "unikernel", "tee");
WORD_TABLE(kind, "osvm_core", "validator", "rpc_node", "mcp_server", "service");
WORD_TABLE(trust, "fully_trusted", "verified", "community", "untrusted");
WORD_TABLE(tee, "intel_sgx", "amd_sev");
WORD_TABLE(access, "none", "vsock_only", "internal", "restricted", "full");
WORD_TABLE(action, "allow", "deny", "log");
WORD_TABLE(direction, "inbound", "outbound", "bidirectional");
WORD_TABLE(protocol, "tcp", "udp", "icmp");
WORD_TABLE(policy, "never", "on-failure", "always");
WORD_TABLE(probe, "guest", "vsock", "tcp", "http", "exec", "console", "started");

const char *isolation_level_name(enum isolation_level level)
{
    return level_list[level];
}

const char *component_kind_name(enum component_kind kind)
{
    return kind_list[kind];
}

const char *trust_level_name(enum trust_level level)
{
    return trust_list[level];
}

const char *network_access_name(enum network_access access)
{
    return access_list[access];
}

bool component_name_valid(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= 63 && isalnum((unsigned char)name[0]) &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_")] == '\0';
}

/* RFC 4122, section 3: 8-4-4-4-12 digits; the version is at 14, the variant at 19. */
static bool is_uuid4(const char *id)
{
    static const char form[] = "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx";

    if (strlen(id) != sizeof(form) - 1)
        return false;
    for (size_t i = 0; form[i]; i++) {
        bool digit = strchr("0123456789abcdef", id[i]) != NULL;

        if (form[i] == 'x' ? !digit : form[i] == 'v' ? !strchr("89ab", id[i]) : id[i] != form[i])
            return false;
    }
    return true;
}

static bool is_absolute(const char *path)
{
    return path[0] == '/';
}

#define NAME_FORM "up to 63 small letters, digits, '.', '-' and '_', a letter or digit first"
#define UUID_FORM "a UUID of version 4 in small letters is wanted"
#define PATH_FORM "an absolute path is wanted"

/* A path on the host. */
#define PATH(record, key_, member, help_)                                            \
    {                                                                                \
        .key = key_, .kind = FIELD_STRING, AT(record, member), .valid = is_absolute, \
        .form = PATH_FORM, .help = help_                                             \
    }
#define TEXT(record, key_, member, help_)                                    \
    {                                                                        \
        .key = key_, .kind = FIELD_STRING, AT(record, member), .help = help_ \
    }
#define BOOL(record, key_, member, preset_, help_)                                            \
    {                                                                                         \
        .key = key_, .kind = FIELD_BOOL, AT(record, member), .preset = preset_, .help = help_ \
    }
#define UINT(record, key_, member, min_, max_, preset_, help_)                         \
    {                                                                                  \
        .key = key_, .kind = FIELD_UINT, AT(record, member), .min = min_, .max = max_, \
        .preset = preset_, .help = help_                                               \
    }
#define STRINGS(record, key_, member, help_)                                  \
    {                                                                         \
        .key = key_, .kind = FIELD_STRINGS, AT(record, member), .help = help_ \
    }
#define ONE_OF(record, key_, member, words_, help_)                                    \
    {                                                                                  \
        .key = key_, .kind = FIELD_WORD, AT(record, member), .words = &words_##_words, \
        .help = help_                                                                  \
    }
#define RECORD(record, key_, member, schema_, help_)                                             \
    {                                                                                            \
        .key = key_, .kind = FIELD_OBJECT, AT(record, member), .schema = &schema_, .help = help_ \
    }

static const struct field metadata_fields[] = {
    {.key = "name",
     .kind = FIELD_STRING,
     AT(component_metadata, name),
     .required = true,
     .valid = component_name_valid,
     .form = NAME_FORM,
     .help = "What it is called; no two components have the same name."},
    TEXT(component_metadata, "version", version, "The component's own version."),
    TEXT(component_metadata, "description", description, "For people."),
    STRINGS(component_metadata, "tags", tags, "For people and filters."),
};
SCHEMA(metadata_schema, "metadata", component_metadata, metadata_fields);

static const struct field type_fields[] = {
    {.key = "type",
     .kind = FIELD_WORD,
     AT(component_type, kind),
     .words = &kind_words,
     .required = true,
     .help = "What kind of component it is."},
    TEXT(component_type, "network", network, "validator, rpc_node: the network's name."),
    TEXT(component_type, "identity", identity, "validator: its identity."),
    TEXT(component_type, "bind_address", bind_address, "rpc_node: the address it listens at."),
    TEXT(component_type, "name", name, "mcp_server, service: its name."),
    TEXT(component_type, "version", version, "mcp_server: its version."),
};
SCHEMA(type_schema, "component_type", component_type, type_fields);

static const struct field isolation_fields[] = {
    {.key = "level",
     .kind = FIELD_WORD,
     AT(isolation, level),
     .words = &level_words,
     .help = "How isolated it runs; by its trust level where nothing is said."},
    BOOL(isolation, "force", force, false,
         "Run a security-critical component below micro_vm all the same."),
    {.key = "allow_weaker",
     .kind = FIELD_WORDS,
     AT(isolation, allow_weaker),
     .words = &level_words,
     .help = "Levels below the one asked for that may be taken where it is not available."},
    TEXT(isolation, "seccomp_profile", seccomp_profile,
         "process_sandbox: default, strict, or a file in the OCI seccomp format."),
    TEXT(isolation, "apparmor_profile", apparmor_profile,
         "process_sandbox: a profile that is loaded on the host."),
    TEXT(isolation, "runtime", runtime,
         "container: crun, runc, podman or docker; unikernel: hermitcore or native."),
    TEXT(isolation, "image", image, "container: an image in podman's or docker's store."),
    PATH(isolation, "bundle", bundle, "container: an OCI bundle."),
    PATH(isolation, "root_path", root_path, "process_sandbox, container: a root folder."),
    PATH(isolation, "kernel_path", kernel_path, "micro_vm, tee: the kernel."),
    PATH(isolation, "initrd_path", initrd_path, "micro_vm, tee: an initial RAM disk."),
    PATH(isolation, "rootfs_path", rootfs_path, "micro_vm, tee: the image of the root disk."),
    TEXT(isolation, "kernel_args", kernel_args,
         "micro_vm, tee: more of the kernel's command line."),
    PATH(isolation, "image_path", image_path, "unikernel: the image."),
    ONE_OF(isolation, "tee_type", tee_type, tee, "tee: the hardware that is wanted."),
};
SCHEMA(isolation_schema, "isolation", isolation, isolation_fields);

static const struct field mount_fields[] = {
    {.key = "host_path",
     .kind = FIELD_STRING,
     AT(mount, host_path),
     .required = true,
     .valid = is_absolute,
     .form = PATH_FORM,
     .help = "The folder or file on the host."},
    {.key = "guest_path",
     .kind = FIELD_STRING,
     AT(mount, guest_path),
     .required = true,
     .help = "Where the component finds it; in a VM, the tag of the shared folder."},
    BOOL(mount, "read_only", read_only, true, "Whether the component can't change it."),
};
SCHEMA(mount_schema, "mounts", mount, mount_fields);

static const struct field limit_fields[] = {
    UINT(resource_limits, "max_memory_mb", memory_mb, 2, 1024 * 1024, FIELD_UNSET, "Memory, MiB."),
    UINT(resource_limits, "max_cpu_cores", cpu_cores, 1, 1024, FIELD_UNSET, "CPU cores."),
    UINT(resource_limits, "max_disk_mb", disk_mb, 1, 64 * 1024 * 1024, 1024,
         "All that it may write, MiB."),
    UINT(resource_limits, "max_network_bandwidth_mbps", network_mbps, 1, 1000 * 1000, 100,
         "Megabits a second, each way."),
    UINT(resource_limits, "max_file_descriptors", file_descriptors, 16, 1024 * 1024, 1024,
         "Open descriptors."),
    UINT(resource_limits, "max_processes", processes, 1, 1024 * 1024, 10, "Processes and threads."),
    UINT(resource_limits, "max_execution_time_sec", execution_time_sec, 1, UINT32_MAX, FIELD_UNSET,
         "It is ended after that many seconds; no limit where nothing is said."),
    UINT(resource_limits, "boot_timeout", boot_timeout_sec, 1, 3600, 5,
         "It is ended where it is not ready after that many seconds."),
};
SCHEMA(limit_schema, "resource_limits", resource_limits, limit_fields);

static const struct field rule_fields[] = {
    {.key = "action",
     .kind = FIELD_WORD,
     AT(firewall_rule, action),
     .words = &action_words,
     .required = true,
     .help = "What is done with what matches."},
    {.key = "direction",
     .kind = FIELD_WORD,
     AT(firewall_rule, direction),
     .words = &direction_words,
     WORD(FIREWALL_BIDIRECTIONAL),
     .help = "Seen from the component."},
    ONE_OF(firewall_rule, "protocol", protocol, protocol, "Any where nothing is said."),
    TEXT(firewall_rule, "port_range", port_range, "tcp, udp: 443, or 8000-8100."),
    TEXT(firewall_rule, "source", source, "An address or a network: 10.0.0.0/8."),
    TEXT(firewall_rule, "destination", destination, "An address or a network: 10.0.0.0/8."),
};
SCHEMA(rule_schema, "firewall_rules", firewall_rule, rule_fields);

static const struct field network_fields[] = {
    {.key = "access",
     .kind = FIELD_WORD,
     AT(network, access),
     .words = &access_words,
     .help = "How much of the network it sees; by its trust level where nothing is said."},
    STRINGS(network, "allowed_destinations", allowed_destinations,
            "With restricted: the only addresses and networks that it may reach."),
    {.key = "firewall_rules",
     .kind = FIELD_OBJECTS,
     AT(network, firewall_rules),
     .schema = &rule_schema,
     .help = "Rules of its packet filter; the first that matches counts."},
    BOOL(network, "mtls_enabled", mtls_enabled, true,
         "Whether components prove to one another who they are."),
    UINT(network, "certificate_validity_days", certificate_validity_days, 1, 3650, 90,
         "How long its certificate holds."),
};
SCHEMA(network_schema, "network", network, network_fields);

static const struct field security_fields[] = {
    BOOL(security, "read_only_root", read_only_root, true, "It can't change its root."),
    BOOL(security, "aslr", aslr, true, "Its addresses are randomized."),
    BOOL(security, "memory_encryption", memory_encryption, false,
         "Refused where the hardware does not encrypt its memory."),
    BOOL(security, "secure_boot", secure_boot, false, "Refused where its image can't be verified."),
    BOOL(security, "attestation", attestation, false,
         "Refused where no hardware attests what it runs."),
};
SCHEMA(security_schema, "security", security, security_fields);

static const struct field restart_fields[] = {
    {.key = "policy",
     .kind = FIELD_WORD,
     AT(restart, policy),
     .words = &policy_words,
     WORD(RESTART_NEVER),
     .help = "When it is started again after its end."},
    UINT(restart, "max_retries", max_retries, 0, 1000 * 1000, 5,
         "After that many failures in a row it stays failed; 0: it never gives up."),
    UINT(restart, "delay_ms", delay_ms, 10, 3600 * 1000, 200,
         "The first pause; each failure doubles it."),
    UINT(restart, "max_delay_ms", max_delay_ms, 10, 24 * 3600 * 1000, 60 * 1000,
         "The longest pause."),
};
SCHEMA(restart_schema, "restart", restart, restart_fields);

static const struct field probe_fields[] = {
    {.key = "type",
     .kind = FIELD_WORD,
     AT(probe, kind),
     .words = &probe_words,
     .help = "What is tried."},
    UINT(probe, "port", port, 1, UINT32_MAX, FIELD_UNSET, "vsock, tcp, http: the port."),
    TEXT(probe, "path", path, "http: the path; / where nothing is said."),
    TEXT(probe, "pattern", pattern, "console: the text that its output has to have."),
    STRINGS(probe, "command", command, "exec: what is run in it."),
    UINT(probe, "interval_ms", interval_ms, 10, 3600 * 1000, 1000, "How often."),
    UINT(probe, "timeout_ms", timeout_ms, 10, 3600 * 1000, 1000, "How long an answer may take."),
    UINT(probe, "failures", failures, 1, 1000, 3,
         "It is unhealthy after that many in a row, degraded after the first."),
};
SCHEMA(probe_schema, "probe", probe, probe_fields);

static const struct field log_fields[] = {
    UINT(log_limits, "max_kb", max_kb, 16, 64 * 1024 * 1024, 10 * 1024,
         "The largest log file, KiB; then the next is begun."),
    UINT(log_limits, "files", files, 2, 100, 3, "How many are kept."),
};
SCHEMA(log_schema, "log", log_limits, log_fields);

static const struct field component_fields[] = {
    {.key = "id",
     .kind = FIELD_STRING,
     AT(component, id),
     .valid = is_uuid4,
     .form = UUID_FORM,
     .help = "Given by osvm where nothing is said."},
    {.key = "metadata",
     .kind = FIELD_OBJECT,
     AT(component, metadata),
     .schema = &metadata_schema,
     .required = true,
     .help = "What it is called."},
    {.key = "component_type",
     .kind = FIELD_OBJECT,
     AT(component, type),
     .schema = &type_schema,
     .shorthand = "type",
     .required = true,
     .help = "What it is; a word alone, or with its own keys."},
    {.key = "trust_level",
     .kind = FIELD_WORD,
     AT(component, trust_level),
     .words = &trust_words,
     WORD(TRUST_COMMUNITY),
     .help = "How far its code is trusted: what is not said follows from it."},
    {.key = "isolation",
     .kind = FIELD_OBJECT,
     AT(component, isolation),
     .schema = &isolation_schema,
     .shorthand = "level",
     .help = "How it is isolated; a level alone, or with its own keys."},
    STRINGS(component, "command", command, "What is run, with its arguments."),
    {.key = "environment",
     .kind = FIELD_PAIRS,
     AT(component, environment),
     .help = "Its environment; nothing else is in it."},
    {.key = "working_directory",
     .kind = FIELD_STRING,
     AT(component, working_directory),
     .valid = is_absolute,
     .form = PATH_FORM,
     .help = "Where its command starts."},
    {.key = "mounts",
     .kind = FIELD_OBJECTS,
     AT(component, mounts),
     .schema = &mount_schema,
     .help = "What of the host it sees."},
    RECORD(component, "resource_limits", limits, limit_schema, "All are enforced."),
    RECORD(component, "network", network, network_schema, "What it may talk to."),
    RECORD(component, "security", security, security_schema, "What else holds for it."),
    {.key = "restart",
     .kind = FIELD_OBJECT,
     AT(component, restart),
     .schema = &restart_schema,
     .shorthand = "policy",
     .help = "Whether it is started again after its end."},
    UINT(component, "stop_grace_ms", stop_grace_ms, 0, 3600 * 1000, 10 * 1000,
         "How long it may take to end when asked to, before it is ended by force."),
    {.key = "readiness",
     .kind = FIELD_OBJECT,
     AT(component, readiness),
     .schema = &probe_schema,
     .shorthand = "type",
     .help = "How it is known to be ready."},
    {.key = "health",
     .kind = FIELD_OBJECT,
     AT(component, health),
     .schema = &probe_schema,
     .shorthand = "type",
     .help = "How it is known to be well."},
    {.key = "depends_on",
     .kind = FIELD_STRINGS,
     AT(component, depends_on),
     .valid = component_name_valid,
     .form = NAME_FORM,
     .help = "Components that are started before it and stopped after it."},
    RECORD(component, "log", log, log_schema, "How much of its output is kept."),
};

const struct schema component_schema = {
    .name = "a component",
    .size = sizeof(struct component),
    .fields = component_fields,
    .field_count = ARRAY_SIZE(component_fields),
};
