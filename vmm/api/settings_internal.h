/* What the parts of settings share: settings.c, settings_devices.c. */
#ifndef OSVM_VMM_API_SETTINGS_INTERNAL_H
#define OSVM_VMM_API_SETTINGS_INTERNAL_H

/* "BEFORE" "NAME" "VALUE", with commas in the value doubled; the caller frees it. NULL: no memory.
 */
char *settings_join(const char *before, const char *name, const char *value);

#endif
