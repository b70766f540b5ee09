/*
 * osvm-oci: an OCI runtime (crun, runc) in namespaces that end with it. Its arguments are the
 * contract between it and whoever launches it.
 *
 *   osvm-oci --name NAME --program FILE --kind crun|runc --config FILE --root DIR --disk BYTES
 *            [--bind HOST[:rw]]... [--no-aslr]
 *
 * The runtime and all that it starts are in a PID namespace of their own, whose first process this
 * is: whichever of them is killed, the kernel ends the rest, and a container without its runtime
 * is never left. What the runtime keeps of a container is in a tmpfs that goes with it. There is no
 * control group of the runtime's own: all stays in the caller's, whose limits so hold. (runc can't
 * be without one for devices, and has that alone; it is removed.)
 *
 * The container is OCI_ID, its bundle OCI_STAGE, which has:
 *   config.json  as given
 *   root/        the root folder, read-only
 *   mounts/N     the N-th --bind, from 0; read-only unless it says otherwise
 *   scratch/tmp, scratch/shm
 *                folders for /tmp and /dev/shm, of BYTES together
 *   state/       the runtime's own
 *
 * SIGTERM and its like are passed on to the runtime, which passes them to the container. The exit
 * status is the container's; 125 with one line on standard error where it is refused. Wants root.
 */
#ifndef OSVM_SUPERVISOR_OCI_H
#define OSVM_SUPERVISOR_OCI_H

#define OCI_ID    "container"
#define OCI_STAGE "/tmp" /* in a mount namespace of its own */

#define OCI_MAX_BINDS 64

/* The group that runc makes for devices; the name follows. */
#define OCI_GROUP      "/osvm-oci-"
#define OCI_GROUP_PATH "/sys/fs/cgroup/devices" OCI_GROUP

#define OCI_EXIT_REFUSED 125

/* What it says where it is run without arguments: a probe runs it so in a container. */
#define OCI_USAGE "--name, --program, --config, --root and --disk are wanted"

#endif
