#include "runtime_manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

void runtime_manager_init(struct runtime_manager *manager)
{
    static const struct runtime *const all[] = {
        &runtime_none,     &runtime_sandbox,   &runtime_crun, &runtime_runc,
        &runtime_micro_vm, &runtime_unikernel, &runtime_tee,
    };

    *manager = (struct runtime_manager){.count = ARRAY_SIZE(all)};
    for (size_t i = 0; i < manager->count; i++) {
        manager->runtimes[i] = all[i];
        all[i]->probe(&manager->probes[i]);
    }
}

json_t *runtime_manager_describe(const struct runtime_manager *manager)
{
    json_t *list = json_array();

    for (size_t i = 0; i < manager->count; i++) {
        const struct runtime_probe *probe = &manager->probes[i];
        enum isolation_level level = manager->runtimes[i]->level;

        json_array_append_new(
            list, json_pack("{s:s, s:s, s:i, s:b, s:s, s:s, s:s}", "level",
                            isolation_level_name(level), "runtime", manager->runtimes[i]->name,
                            "score", (int)isolation_score(level), "available", probe->available,
                            "detail", probe->detail, "why", probe->why, "remedy", probe->remedy));
    }
    return list;
}

/* The runtime by name, where the component wants one; a unikernel's word is its kind, of image. */
static bool is_wanted(const struct runtime *runtime, const struct component *component)
{
    const char *wanted = component->isolation.runtime;

    return runtime->level != LEVEL_CONTAINER || !wanted || strcmp(wanted, runtime->name) == 0;
}

/* The first runtime of a level that works here. NULL, with the reason in err. */
static const struct runtime *find(const struct runtime_manager *manager,
                                  const struct component *component, enum isolation_level level,
                                  struct error *err)
{
    const char *wanted = level == LEVEL_CONTAINER ? component->isolation.runtime : NULL;

    error_set(err, -EOPNOTSUPP, "level %s: there is no runtime %s%s%s here",
              isolation_level_name(level), wanted ? "'" : "", wanted ? wanted : "for it",
              wanted ? "'; say crun or runc" : "");
    for (size_t i = 0; i < manager->count; i++) {
        const struct runtime_probe *probe = &manager->probes[i];

        if (manager->runtimes[i]->level != level || !is_wanted(manager->runtimes[i], component))
            continue;
        if (probe->available)
            return manager->runtimes[i];
        error_set(err, -EOPNOTSUPP, "level %s is not available here (%s)%s%s",
                  isolation_level_name(level), probe->why, *probe->remedy ? ": " : "",
                  probe->remedy);
    }
    return NULL;
}

static int try_level(const struct runtime_manager *manager, const struct component *component,
                     enum isolation_level level, struct runtime_choice *ret_choice,
                     struct error *err)
{
    const struct runtime *runtime = find(manager, component, level, err);
    int r = runtime ? runtime->check(component, err) : -EOPNOTSUPP;

    if (r == 0) {
        ret_choice->runtime = runtime;
        ret_choice->level = level;
    }
    return r;
}

int runtime_manager_choose(const struct runtime_manager *manager, const struct component *component,
                           struct runtime_choice *ret_choice, struct error *err)
{
    enum isolation_level wanted = (enum isolation_level)component->isolation.level;
    const char *trust = trust_level_name((enum trust_level)component->trust_level);
    struct error weaker = {0};
    int r = try_level(manager, component, wanted, ret_choice, err);

    *ret_choice =
        (struct runtime_choice){.runtime = r == 0 ? ret_choice->runtime : NULL, .level = wanted};
    if (r == 0) {
        snprintf(ret_choice->reason, sizeof(ret_choice->reason), "%s by %s, trust %s",
                 isolation_level_name(wanted), ret_choice->runtime->name, trust);
        return 0;
    }
    /* Downwards, the strongest that is allowed. */
    for (int level = (int)wanted - 1; level >= 0; level--) {
        if (!(component->isolation.allow_weaker >> level & 1))
            continue;
        if (try_level(manager, component, (enum isolation_level)level, ret_choice, &weaker) < 0)
            continue;
        ret_choice->weaker = true;
        snprintf(ret_choice->reason, sizeof(ret_choice->reason),
                 "%s, WEAKER than %s, which allow_weaker permits: %.150s",
                 isolation_level_name((enum isolation_level)level), isolation_level_name(wanted),
                 err->text);
        return 0;
    }
    return r;
}
