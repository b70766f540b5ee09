/* A whole folder, to be removed. */
#ifndef OSVM_BASE_TREE_H
#define OSVM_BASE_TREE_H

/**
 * Remove everything beneath a folder, however deep, with a few descriptors. Links are removed and
 * not followed. What cannot be removed ends it.
 *
 * @top_fd  the folder; it stays
 * Nobody else moves what is in there meanwhile. Any thread.
 */
void tree_empty(int top_fd);

/* Empty the folder `name` of a folder and remove it. What is no folder of that name is left alone.
 */
void tree_remove(int parent_fd, const char *name);

#endif
