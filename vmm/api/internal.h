/* What the parts of the API share: api.c (its life), routes.c, running.c, show.c, metrics.c. */
#ifndef OSVM_VMM_API_INTERNAL_H
#define OSVM_VMM_API_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "api.h"
#include "channel.h"
#include "server.h"
#include "settings.h"

enum api_state { API_NOT_STARTED, API_STARTING, API_RUNNING, API_PAUSED };

/* What the VM process was asked, and who wants to know. */
struct api_question {
    struct api_client *client; /* NULL: nobody, the answer is the API's own */
    struct channel_command command;
    char *path; /* of a disk's new file, owned; NULL: none */
    dev_t device;
    ino_t inode;
    /* Makes the answer's body, the caller's to free, out of a good one; NULL: 204. */
    char *(*body)(struct api *api, const struct channel_answer *answer);
};

/* Requests that were answered. */
struct api_counts {
    uint64_t get, put, patch, failed;
};

struct api {
    struct config *config; /* borrowed */
    const struct log *log; /* borrowed */
    struct loop *loop;
    struct loop_signals signals; /* before the start */
    int ended_by;                /* one of them; 0: none yet */
    struct api_server *server;
    struct api_server_user user;
    struct settings settings;
    enum api_state state;
    struct api_client *starter; /* who asked for the start and waits for the answer */
    pid_t vm;
    uint64_t started_ns;
    struct channel channel;
    struct api_question question; /* while channel.waiting */
    struct {
        dev_t device;
        ino_t inode;
    } disks[CONFIG_MAX_DISKS]; /* the files that are in use */
    struct api_counts counts;
    int metrics_fd; /* -1: none */
    struct loop_timer metrics_timer;
    bool metrics_due; /* as soon as the channel is free */
};

/* One request on its way. */
struct api_call {
    struct api *api;
    struct api_client *client;
    const char *id;     /* from the path; NULL: none */
    const json_t *body; /* NULL: a GET */
    json_t *result;     /* of a GET, owned; NULL: no body */
    bool pending;       /* the VM process was asked */
};

/* Each returns 0, or a negative errno with the reason in err. */
typedef int api_handler(struct api_call *call, struct error *err);

/* ---- routes.c ---- */

enum api_outcome api_on_request(struct api_server_user *user, struct api_client *client,
                                const struct api_request *request);
/* Answer, and count. @body  NULL: none */
void api_answer(struct api *api, struct api_client *client, int status, const char *body);
void api_answer_fault(struct api *api, struct api_client *client, const char *text);

/* ---- running.c: after the start ---- */

api_handler api_patch_vm, api_patch_disk, api_patch_net, api_patch_balloon,
    api_patch_balloon_statistics, api_put_action, api_get_metrics, api_get_balloon_statistics;

/* Of the channel. */
void api_on_answer(struct channel *channel, const struct channel_answer *answer, const char *why);
void api_on_late_answer(struct channel *channel, const struct channel_answer *answer);

/* Which files the disks have now. Before the VM process opens them. */
void api_note_disks(struct api *api);

/* ---- show.c: what there is ---- */

api_handler api_get_instance, api_get_version, api_get_config, api_get_machine, api_get_balloon;

/* ---- metrics.c ---- */

/* NULL: out of memory. The caller frees it. */
json_t *api_metrics(struct api *api, const struct channel_counters *counters);

/* Begin to write them to the file, once a minute. Returns 0 or a negative errno. */
int api_metrics_start(struct api *api);
void api_metrics_stop(struct api *api);

/* A line into the file, which never waits: where its reader does not keep up, a line is lost. */
void api_metrics_write(struct api *api, const struct channel_counters *counters);

/* Ask for counters for the file, as soon as it can be. */
void api_metrics_ask(struct api *api);

#endif
