/* The kinds of victims. */
#ifndef HOSTILE_VICTIMS_H
#define HOSTILE_VICTIMS_H

#include <stdbool.h>

/* Choose one by the name of its kind. Returns whether the machine has it. */
bool victim_choose(const char *kind);

#endif
