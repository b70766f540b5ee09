/* supervisor/component.h: component files, their mistakes, their defaults. */
#include "unit.h"

#include <stdio.h>

#include "component.h"
#include "document.h"

/* The least of a file that is right, without its isolation and command. */
#define NAMED "metadata: {name: a}\ncomponent_type: service\n"
#define RUNS  NAMED "command: [/bin/true]\nisolation: process_sandbox\n"

static void read_text(const char *text, size_t len, struct component *component,
                      struct mistakes *mistakes)
{
    struct document *document = NULL;

    schema_init(&component_schema, component);
    if (document_parse(text, len, mistakes, &document) < 0) {
        assert_true(mistakes->count > 0);
        return;
    }
    assert_int_equal(component_read(document, component, mistakes), 0);
    document_free(document);
}

struct mistake_row {
    const char *name, *text;
    unsigned line;
    const char *says; /* of the first mistake; NULL: there is none */
};

static const struct mistake_row mistake_rows[] = {
    {"the least", RUNS, 0, NULL},
    {"as JSON",
     "{\"metadata\": {\"name\": \"a\"}, \"component_type\": \"service\",\n"
     "\"command\": [\"/bin/true\"], \"isolation\": {\"level\": \"none\"}}",
     0, NULL},
    {"empty", "", 1, "there is nothing in it"},
    {"a list", "- a\n", 1, "a component is a mapping"},
    {"not YAML", "metadata: {name: a\nx: [", 2, "not YAML"},
    {"two documents", RUNS "---\na: b\n", 5, "a second document"},
    {"an alias", "a: &x 1\nb: *x\n", 1, "anchors and tags are not taken"},
    {"a key twice", RUNS "command: [/bin/false]\n", 5, "'command' is there twice"},
    {"a key that is a list", "[a]: b\n", 1, "a key is a plain word"},
    {"no name", "component_type: service\ncommand: [a]\nisolation: none\n", 1,
     "metadata: this key is wanted"},
    {"unknown key", RUNS "colour: red\n", 5, "colour: a component has no such key"},
    {"a slip", RUNS "isolaton: none\n", 5, "is 'isolation' meant?"},
    {"an unknown key within", RUNS "resource_limits:\n  max_memory: 3\n", 6,
     "resource_limits.max_memory: resource_limits has no such key"},
    {"a number for text",
     "command: [a]\nisolation: none\nmetadata: {name: 5}\ncomponent_type: service\n", 3,
     "metadata.name: text is wanted"},
    {"text for a number", RUNS "resource_limits:\n  max_memory_mb: much\n", 6,
     "resource_limits.max_memory_mb: a whole number is wanted"},
    {"a number too small", RUNS "resource_limits: {max_memory_mb: 0}\n", 5,
     "0 is not in 2..1048576"},
    {"a number below zero", RUNS "resource_limits: {max_processes: -1}\n", 5, "-1 is not in 1.."},
    {"a number over 64 bits", RUNS "resource_limits: {max_processes: 99999999999999999999}\n", 5,
     "a whole number is wanted"},
    {"a fraction", RUNS "resource_limits: {max_cpu_cores: 1.5}\n", 5, "a whole number is wanted"},
    {"text for a switch", RUNS "security: {aslr: 'yes'}\n", 5, "true or false is wanted"},
    {"a bad word", "metadata: {name: a}\ncomponent_type: servce\n", 2,
     "'servce' is none of osvm_core, validator"},
    {"a bad name", "metadata: {name: A/b}\ncomponent_type: service\n", 1, "'A/b' will not do"},
    {"a bad id", RUNS "id: 12\n", 5, "id: text is wanted"},
    {"an id of another version", RUNS "id: 123e4567-e89b-12d3-a456-426614174000\n", 5,
     "a UUID of version 4"},
    {"a list for a mapping", RUNS "network: [none]\n", 5, "a mapping (key: value) is wanted"},
    {"a mapping for a list", RUNS "depends_on: {a: b}\n", 5, "a list is wanted"},
    {"no command", NAMED "isolation: none\n", 3, "command: level none wants one"},
    {"no kernel", NAMED "isolation: micro_vm\n", 3, "isolation.kernel_path"},
    {"no image", NAMED "isolation: unikernel\n", 3, "isolation.image_path"},
    {"the MCP server's own image",
     "metadata: {name: a}\ncomponent_type: mcp_server\n"
     "isolation: unikernel\n",
     0, NULL},
    {"no container source", NAMED "isolation: container\n", 3,
     "one of image, bundle and root_path"},
    {"two container sources", NAMED "isolation: {level: container, image: a, bundle: /b}\n", 3,
     "one of image, bundle and root_path"},
    {"a key of another level", NAMED "command: [a]\nisolation:\n  level: none\n  kernel_path: /k\n",
     6, "isolation.kernel_path: there is none at level none"},
    {"a relative path", NAMED "isolation: {level: micro_vm, kernel_path: k}\n", 3,
     "an absolute path is wanted"},
    {"a validator in a sandbox",
     "metadata: {name: a}\ncomponent_type: {type: validator, network: main}\ncommand: [a]\n"
     "isolation:\n  level: process_sandbox\n",
     5, "a validator is not run below micro_vm"},
    {"a validator in a sandbox by force",
     "metadata: {name: a}\ncomponent_type: {type: validator, network: main}\ncommand: [a]\n"
     "isolation: {level: process_sandbox, force: true}\n",
     0, NULL},
    {"a weaker level that is stronger",
     NAMED "command: [a]\nisolation: {level: process_sandbox, allow_weaker: [micro_vm]}\n", 4,
     "micro_vm is not weaker than process_sandbox"},
    {"a key of another type",
     "metadata: {name: a}\ncomponent_type:\n  type: service\n  identity: x\ncommand: [a]\n"
     "isolation: none\n",
     4, "component_type.identity: a service has none"},
    {"a node without a network", "metadata: {name: a}\ncomponent_type: rpc_node\n", 2,
     "component_type.network"},
    {"vsock_only without a VM", RUNS "network: {access: vsock_only}\n", 5,
     "vsock_only is for virtual machines"},
    {"destinations without restricted",
     RUNS "network: {access: full, allowed_destinations: [10.0.0.1]}\n", 5, "goes with access"},
    {"a destination that is none",
     RUNS "network: {access: restricted, allowed_destinations: [example.org]}\n", 5,
     "'example.org' is no address"},
    {"a prefix that is too long",
     RUNS "network: {access: restricted, allowed_destinations: [10.0.0.0/33]}\n", 5,
     "no address and no network"},
    {"a rule without an action",
     RUNS "network: {access: full, firewall_rules: [{protocol: tcp}]}\n", 5,
     "network.firewall_rules.1.action: this key is wanted"},
    {"ports without a protocol",
     RUNS "network: {access: full, firewall_rules: [{action: deny, port_range: '80'}]}\n", 5,
     "port_range goes with protocol"},
    {"a port range backwards",
     RUNS "network: {access: full, firewall_rules: [{action: deny, protocol: tcp, "
          "port_range: 90-80}]}\n",
     5, "no range like"},
    {"a probe without its port", RUNS "readiness: tcp\n", 5,
     "readiness.port: this probe wants one"},
    {"a vsock probe of a process", RUNS "readiness: {type: vsock, port: 5}\n", 5,
     "this probe is for virtual machines"},
    {"an exec probe of a VM",
     NAMED "isolation: {level: micro_vm, kernel_path: /k}\nhealth: {type: exec, command: [a]}\n", 4,
     "nothing can be run in a virtual machine from outside"},
    {"a TCP port over 65535", RUNS "health: {type: tcp, port: 70000}\n", 5,
     "the last port is 65535"},
    {"a delay over the longest", RUNS "restart: {delay_ms: 500, max_delay_ms: 100}\n", 5,
     "it is less than delay_ms"},
    {"itself", RUNS "depends_on: [a]\n", 5, "can't depend on itself"},
    {"a variable without a name", RUNS "environment: {'': x}\n", 5, "this is no name"},
    {"a mount that is relative", RUNS "mounts: [{host_path: /a, guest_path: b}]\n", 5,
     "mounts.1.guest_path: an absolute path"},
    {"null is the default", RUNS "restart: null\n", 0, NULL},
};

static bool is_named(const struct mistakes *mistakes, const struct mistake_row *row)
{
    for (size_t i = 0; i < mistakes_kept(mistakes); i++) {
        if (mistakes->kept[i].line == row->line && strstr(mistakes->kept[i].text, row->says))
            return true;
    }
    return false;
}

static void test_mistake(void **state)
{
    const struct mistake_row *row = *state;
    struct mistakes mistakes = {0};
    struct component component;

    read_text(row->text, strlen(row->text), &component, &mistakes);
    component_free(&component);
    if (row->says && !mistakes.count)
        fail_msg("no mistake was found");
    if (row->says ? !is_named(&mistakes, row) : mistakes.count > 0)
        fail_msg("line %u: %s", mistakes.kept[0].line, mistakes.kept[0].text);
    mistakes_free(&mistakes);
}

static void test_every_mistake_is_named(void **state)
{
    static const char text[] = "metadata: {name: a, colour: red}\n"
                               "component_type: servant\n"
                               "resource_limits:\n"
                               "  max_memory_mb: 0\n"
                               "  max_disk_mb: x\n"
                               "nonsense: 1\n";
    static const unsigned lines[] = {1, 2, 4, 5, 6};
    struct mistakes mistakes = {0};
    struct component component;

    (void)state;
    read_text(text, sizeof(text) - 1, &component, &mistakes);
    component_free(&component);
    assert_int_equal(mistakes.count, ARRAY_SIZE(lines));
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        assert_int_equal(mistakes.kept[i].line, lines[i]);
    mistakes_free(&mistakes);
}

struct trust_row {
    const char *name; /* the trust level */
    const char *more;
    enum isolation_level level;
    uint64_t memory_mb, cpu_cores;
    enum network_access access;
    uint64_t execution_time_sec;
};

/* osvm-model.md, "Component". */
static const struct trust_row trust_rows[] = {
    {"fully_trusted", "command: [a]\n", LEVEL_PROCESS_SANDBOX, 512, 4, NETWORK_FULL, FIELD_UNSET},
    {"verified", "isolation: {image: a}\n", LEVEL_CONTAINER, 512, 2, NETWORK_RESTRICTED,
     FIELD_UNSET},
    {"community", "isolation: {kernel_path: /k}\n", LEVEL_MICRO_VM, 256, 2, NETWORK_VSOCK_ONLY,
     FIELD_UNSET},
    {"untrusted", "isolation: {image_path: /k}\n", LEVEL_UNIKERNEL, 128, 1, NETWORK_NONE, 10},
};

static void test_trust(void **state)
{
    const struct trust_row *row = *state;
    struct mistakes mistakes = {0};
    struct component component;
    char text[256];

    snprintf(text, sizeof(text), NAMED "trust_level: %s\n%s", row->name, row->more);
    read_text(text, strlen(text), &component, &mistakes);
    assert_int_equal(mistakes.count, 0);
    assert_int_equal(component.isolation.level, row->level);
    assert_int_equal(component.limits.memory_mb, row->memory_mb);
    assert_int_equal(component.limits.cpu_cores, row->cpu_cores);
    assert_int_equal(component.network.access, row->access);
    assert_int_equal(component.limits.execution_time_sec, row->execution_time_sec);
    assert_int_equal(component.limits.disk_mb, 1024);
    assert_int_equal(component.limits.network_mbps, 100);
    assert_int_equal(component.limits.file_descriptors, 1024);
    assert_int_equal(component.limits.processes, 10);
    assert_int_equal(component.limits.boot_timeout_sec, 5);
    assert_true(component.security.read_only_root && component.security.aslr);
    assert_false(component.security.attestation);
    component_free(&component);
}

/* A trust level that would put a validator into a sandbox does not. */
static void test_critical(void **state)
{
    static const char text[] = "metadata: {name: a}\ntrust_level: fully_trusted\n"
                               "component_type: {type: validator, network: main}\n"
                               "isolation: {kernel_path: /k}\n";
    struct mistakes mistakes = {0};
    struct component component;

    (void)state;
    read_text(text, sizeof(text) - 1, &component, &mistakes);
    assert_int_equal(mistakes.count, 0);
    assert_int_equal(component.isolation.level, LEVEL_MICRO_VM);
    component_free(&component);
}

static const char everything[] =
    "id: 123e4567-e89b-42d3-a456-426614174000\n"
    "metadata: {name: all, version: '1.0', description: \"tab\\tquote\\\" ü\", tags: [x, y]}\n"
    "component_type: {type: mcp_server, name: tools, version: '2'}\n"
    "trust_level: untrusted\n"
    "isolation: {level: unikernel, image_path: /i, runtime: native, allow_weaker: [container], "
    "image: img, seccomp_profile: strict}\n"
    "command: [serve, '']\n"
    "environment: {A: '1=2', B: ''}\n"
    "mounts: [{host_path: /srv, guest_path: data, read_only: false}]\n"
    "resource_limits: {max_memory_mb: 64, boot_timeout: 9}\n"
    "network:\n  access: restricted\n  allowed_destinations: [10.0.0.0/8, '::1']\n"
    "  firewall_rules: [{action: deny, protocol: udp, port_range: 1-9, source: 10.1.1.1}]\n"
    "restart: {policy: always, max_retries: 0}\n"
    "readiness: {type: vsock, port: 5252}\n"
    "health: {type: console, pattern: up}\n"
    "depends_on: [other]\n"
    "log: {max_kb: 64}\n";

/* What is written says the same when it is read again: the state on disk is made of it. */
static void test_round_trip(void **state)
{
    struct mistakes mistakes = {0};
    struct component first, second;
    char *text, *again;
    json_t *json;

    (void)state;
    read_text(everything, sizeof(everything) - 1, &first, &mistakes);
    if (mistakes.count)
        fail_msg("line %u: %s", mistakes.kept[0].line, mistakes.kept[0].text);
    json = component_write(&first);
    text = json_dumps(json, JSON_INDENT(1));
    json_decref(json);
    read_text(text, strlen(text), &second, &mistakes);
    if (mistakes.count)
        fail_msg("line %u: %s", mistakes.kept[0].line, mistakes.kept[0].text);
    json = component_write(&second);
    again = json_dumps(json, JSON_INDENT(1));
    json_decref(json);
    assert_string_equal(text, again);
    assert_string_equal(second.metadata.description, "tab\tquote\" \xc3\xbc");
    assert_int_equal(second.command.count, 2);
    assert_string_equal(second.environment.items[0], "A=1=2");
    assert_null(second.environment.items[2]);
    free(text);
    free(again);
    component_free(&first);
    component_free(&second);
}

static void test_schema_is_whole(void **state)
{
    json_t *schema = schema_describe(&component_schema);
    json_t *properties = json_object_get(schema, "properties");
    json_t *limits = json_object_get(json_object_get(properties, "resource_limits"), "properties");

    (void)state;
    assert_int_equal(json_object_size(properties), component_schema.field_count);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(limits, "max_disk_mb"), "default")),
        1024);
    json_decref(schema);
}

static void test_deep_nesting(void **state)
{
    struct mistakes mistakes = {0};
    struct document *document = NULL;
    char text[4096];

    (void)state;
    memset(text, '[', sizeof(text));
    assert_true(document_parse(text, sizeof(text), &mistakes, &document) < 0);
    assert_int_equal(mistakes.count, 1);
    assert_non_null(strstr(mistakes.kept[0].text, "nested more than"));
    mistakes_free(&mistakes);
}

static void test_many_mistakes(void **state)
{
    struct mistakes mistakes = {0};
    struct component component;
    char text[8192];
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 300; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "x%d: 1\n", i);
    read_text(text, len, &component, &mistakes);
    assert_true(mistakes.count >= 300);
    assert_int_equal(mistakes_kept(&mistakes), MISTAKES_KEPT);
    component_free(&component);
    mistakes_free(&mistakes);
}

int main(void)
{
    struct unit unit = {0};

    unit_add_rows(&unit, mistake_rows, test_mistake);
    unit_add_rows(&unit, trust_rows, test_trust);
    unit_add(&unit, "every mistake is named", test_every_mistake_is_named, NULL);
    unit_add(&unit, "a validator is never below micro_vm by default", test_critical, NULL);
    unit_add(&unit, "what is written reads the same", test_round_trip, NULL);
    unit_add(&unit, "the JSON Schema has every key", test_schema_is_whole, NULL);
    unit_add(&unit, "nesting is bounded", test_deep_nesting, NULL);
    unit_add(&unit, "more mistakes than are kept", test_many_mistakes, NULL);
    return unit_run(&unit, "component");
}
