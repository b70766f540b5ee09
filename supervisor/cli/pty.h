/* A program on a terminal of its own, between which and ours everything is passed. */
#ifndef OSVM_SUPERVISOR_CLI_PTY_H
#define OSVM_SUPERVISOR_CLI_PTY_H

/**
 * Start it with a new terminal as its standard streams, and wait for it. What is typed is passed
 * on as it is (Ctrl-C too), changes of the window's size as well.
 *
 * @argv, @environment  NULL behind the last
 * Returns the exit status: the program's; 128 + N where signal N ended it; 126 where it could not
 * be started, with a message said.
 */
int pty_run(char *const argv[], char *const environment[]);

#endif
