/* Dates. */
#include "tools.h"

#define DAY_S 86400

/* A date in the Gregorian calendar of a day since 1970-01-01: counted in years that begin in
 * March, so that the leap day is the last of its year. */
static void write_date(struct mcp_call *call, int64_t day)
{
    static const char *const weekdays[] = {"Thursday", "Friday",  "Saturday", "Sunday",
                                           "Monday",   "Tuesday", "Wednesday"};
    int64_t since = day + 719468;                              /* 0000-03-01 */
    int64_t cycle = since / 146097, in_cycle = since % 146097; /* of 400 years */
    int64_t year = (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
    int64_t in_year = in_cycle - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * in_year + 2) / 153; /* 0: March */

    mcp_print(call, "%s %04ld-%02ld-%02ld", weekdays[day % 7], year + cycle * 400 + (month >= 10),
              month < 10 ? month + 3 : month - 9, in_year - (153 * month + 2) / 5 + 1);
}

void tool_time(struct mcp_call *call)
{
    int64_t now = mcp_argument_integer(call, "unix", -1), in_day;

    if (now < 0)
        now = clock_now();
    if (now == 0 && mcp_argument_integer(call, "unix", -1) != 0) {
        mcp_fail(call, "this machine's clock does not tell the time");
        return;
    }
    in_day = now % DAY_S;
    write_date(call, now / DAY_S);
    mcp_print(call, "T%02ld:%02ld:%02ldZ, %ld seconds since 1970", in_day / 3600, in_day / 60 % 60,
              in_day % 60, now);
}
