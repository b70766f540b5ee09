/*
 * A component, as its file describes it: the model of the isolation guide. What runs of it and
 * how it fares is elsewhere (instance.h); this is only what was asked for.
 */
#ifndef OSVM_SUPERVISOR_COMPONENT_H
#define OSVM_SUPERVISOR_COMPONENT_H

#include <stdbool.h>
#include <stdint.h>

#include "mistakes.h"
#include "schema.h"

/* By rising isolation; the numbers of security are in isolation_score(). */
enum isolation_level {
    LEVEL_NONE,
    LEVEL_PROCESS_SANDBOX,
    LEVEL_CONTAINER,
    LEVEL_MICRO_VM,
    LEVEL_UNIKERNEL,
    LEVEL_TEE,
    LEVEL_COUNT
};

enum component_kind {
    TYPE_OSVM_CORE,
    TYPE_VALIDATOR,
    TYPE_RPC_NODE,
    TYPE_MCP_SERVER,
    TYPE_SERVICE
};
enum trust_level { TRUST_FULL, TRUST_VERIFIED, TRUST_COMMUNITY, TRUST_NONE };
enum tee_type { TEE_INTEL_SGX, TEE_AMD_SEV };
enum network_access {
    NETWORK_NONE,
    NETWORK_VSOCK_ONLY,
    NETWORK_INTERNAL,
    NETWORK_RESTRICTED,
    NETWORK_FULL
};
enum firewall_action { FIREWALL_ALLOW, FIREWALL_DENY, FIREWALL_LOG };
enum firewall_direction { FIREWALL_INBOUND, FIREWALL_OUTBOUND, FIREWALL_BIDIRECTIONAL };
enum firewall_protocol { FIREWALL_TCP, FIREWALL_UDP, FIREWALL_ICMP };
enum restart_policy { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };
enum probe_kind {
    PROBE_GUEST,   /* the guest says so itself: the SDK's milestone */
    PROBE_VSOCK,   /* a vsock port takes a connection */
    PROBE_TCP,     /* a TCP port does */
    PROBE_HTTP,    /* a GET is answered with 2xx or 3xx */
    PROBE_EXEC,    /* a command in the component ends with 0 */
    PROBE_CONSOLE, /* its output has a text */
    PROBE_STARTED, /* its process runs */
};

struct component_metadata {
    char *name, *version, *description;
    struct string_list tags;
};

struct component_type {
    int kind;                 /* enum component_kind */
    char *network, *identity; /* validator, rpc_node */
    char *bind_address;       /* rpc_node */
    char *name, *version;     /* mcp_server, service */
};

struct isolation {
    int level;             /* enum isolation_level; unset: by the trust level */
    bool force;            /* a security-critical component below micro_vm */
    uint64_t allow_weaker; /* bits of enum isolation_level */
    char *seccomp_profile; /* process_sandbox: "default", "strict" or a file */
    char *apparmor_profile;
    char *runtime;        /* container: crun, runc, podman, docker; unikernel: hermitcore, native */
    char *image, *bundle; /* container: of a store; a folder with config.json */
    char *root_path;      /* container, process_sandbox: a root folder */
    char *kernel_path, *initrd_path, *rootfs_path, *kernel_args; /* micro_vm, tee */
    char *image_path;                                            /* unikernel */
    int tee_type;                                                /* enum tee_type */
};

struct mount {
    char *host_path, *guest_path; /* guest_path: its tag in a VM */
    bool read_only;
};

/* FIELD_UNSET: no limit, where the model has none by default. */
struct resource_limits {
    uint64_t memory_mb, cpu_cores, disk_mb, network_mbps, file_descriptors, processes;
    uint64_t execution_time_sec;
    uint64_t boot_timeout_sec;
};

struct firewall_rule {
    int action, direction, protocol;
    char *port_range, *source, *destination;
};

struct network {
    int access; /* enum network_access */
    struct string_list allowed_destinations;
    struct record_list firewall_rules; /* struct firewall_rule */
    bool mtls_enabled;
    uint64_t certificate_validity_days;
};

struct security {
    bool read_only_root, aslr, memory_encryption, secure_boot, attestation;
};

struct restart {
    int policy; /* enum restart_policy */
    uint64_t max_retries, delay_ms, max_delay_ms;
};

struct probe {
    int kind;                   /* enum probe_kind; unset: none */
    uint64_t port;              /* vsock, tcp, http */
    char *path;                 /* http */
    char *pattern;              /* console */
    struct string_list command; /* exec */
    uint64_t interval_ms, timeout_ms, failures;
};

struct log_limits {
    uint64_t max_kb, files;
};

struct component {
    char *id; /* UUID version 4; given by whoever creates it where the file has none */
    struct component_metadata metadata;
    struct component_type type;
    int trust_level; /* enum trust_level */
    struct isolation isolation;
    struct string_list command, environment;
    char *working_directory;
    struct record_list mounts; /* struct mount */
    struct resource_limits limits;
    struct network network;
    struct security security;
    struct restart restart;
    uint64_t stop_grace_ms;
    struct probe readiness, health;
    struct string_list depends_on;
    struct log_limits log;
};

extern const struct schema component_schema;

/**
 * Read a component from a document, fill in what its trust level says of what it does not say, and
 * check that it makes sense as a whole. Every mistake is added to `mistakes`; with any, it must
 * not be used but to be freed.
 *
 * @ret_component  freed by component_free(), whatever comes of it
 * Returns 0 or -ENOMEM. Any thread.
 */
int component_read(const struct document *document, struct component *ret_component,
                   struct mistakes *mistakes);

void component_free(struct component *component);

/* All of it as JSON, with the defaults in. A new reference, or NULL: out of memory. */
json_t *component_write(const struct component *component);

/* Core and validator: never below micro_vm unless forced by name. */
bool component_is_security_critical(const struct component *component);

/* How it is known to be ready where it runs at this level; never unset. */
enum probe_kind component_readiness(const struct component *component, enum isolation_level level);

/* Whether its standard input and output are a client's, by `osvm mcp`: an MCP server that shares
 * the host's kernel. In a virtual machine such a server has a vsock port. */
bool component_has_streams(const struct component *component, enum isolation_level level);

/* Who it is on the host where root runs it, user and group alike: a number of its own, made of its
 * id, far above all that people have. */
unsigned component_user(const struct component *component);

/* 0 to 100, the guide's security score. */
unsigned isolation_score(enum isolation_level level);

/* The words of files and of --json; never NULL. */
const char *isolation_level_name(enum isolation_level level);
const char *component_kind_name(enum component_kind kind);
const char *trust_level_name(enum trust_level level);
const char *network_access_name(enum network_access access);

/* Whether it may be a component's name: it becomes a part of paths and of host names. */
bool component_name_valid(const char *name);

#endif
