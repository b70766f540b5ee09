/* A whole folder, to be removed. */
#ifndef OSVM_BASE_TREE_H
#define OSVM_BASE_TREE_H

/**
 * Remove everything beneath a folder, however deep, with a few descriptors. Links are removed and
 * not followed. Others may change what is in it meanwhile: nothing is removed but what is beneath
 * it.
 *
 * @top_fd  the folder; it stays
 * Returns 0; -ESTALE where a folder was moved away under it; or another negative errno, for what
 * cannot be removed. The rest is left then. Any thread.
 */
int tree_empty(int top_fd);

/* Empty the folder `name` of a folder, and remove it. Returns 0 or a negative errno, as above. */
int tree_remove(int parent_fd, const char *name);

#endif
