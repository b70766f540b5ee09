/*
 * The API, of the guardian: HTTP and JSON on a Unix socket, in the shape that clients of microVMs
 * speak (docs/api.md). Before the start it fills the configuration in; after it, it asks the VM
 * process (channel.h). It never waits for anybody but in its loop.
 */
#ifndef OSVM_VMM_API_API_H
#define OSVM_VMM_API_API_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "config.h"

struct api;

/* What api_descriptors() may give. */
#define API_MAX_DESCRIPTORS 80

/**
 * Make the socket config->api_sock. SIGTERM, SIGINT, SIGHUP and SIGQUIT are blocked from here on.
 *
 * @config   borrowed, and changed by requests
 * @ret_api  freed by api_destroy()
 * Returns 0 or a negative errno with the reason in err. While the process has one thread.
 */
int api_create(struct config *config, const struct log *log, struct api **ret_api,
               struct error *err);

/* Answers who still waits that the machine has ended. Accepts NULL. */
void api_destroy(struct api *api);

/**
 * Take requests until one says to start, which is answered later.
 * Returns 0, or the number of a signal that ended the wait, or a negative errno.
 */
int api_await_start(struct api *api);

/**
 * The images are known: the last of what the requests have said goes into the configuration.
 *
 * @linux_kernel  it is a kernel that takes Linux's command line
 * Returns 0 or a negative errno with the reason in err.
 */
int api_finish_config(struct api *api, bool linux_kernel, struct error *err);

/* Nothing will be started: who asked for it is told why. Accepts NULL. */
void api_refuse(struct api *api, const char *why);

/* In the VM process: close all of it. Accepts NULL. */
void api_forget(struct api *api);

/**
 * In the guardian: the VM process is there, and is spoken to by this end of the channel.
 *
 * @fd  taken over
 * Returns 0 or a negative errno.
 */
int api_follow(struct api *api, int fd, pid_t vm);

/* The loop that it works on. */
struct loop *api_loop(struct api *api);

/* The descriptors that it has, in any order. @fds  room for API_MAX_DESCRIPTORS */
size_t api_descriptors(const struct api *api, int *fds);

#endif
