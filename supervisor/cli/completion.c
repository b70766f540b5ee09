/* osvm completion: scripts for shells, made of the table of commands. */
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "command.h"

/* A word of a command's usage: "[-w DIR]" is one, "NAME..." is one. */
struct usage_word {
    const char *text; /* without brackets and dots: "-w", "NAME", "bash|zsh|fish" */
    int len;
    bool option;
    bool valued; /* an option that another word belongs to */
};

/* Take the next word off a usage. Returns false where there is none. */
static bool next_word(const char **usage, struct usage_word *ret_word)
{
    static const char between[] = " [].";
    const char *at = *usage + strspn(*usage, between);

    *ret_word = (struct usage_word){.text = at, .len = (int)strcspn(at, between)};
    ret_word->option = at[0] == '-';
    at += ret_word->len;
    if (ret_word->option && at[0] == ' ') {
        ret_word->valued = true;
        at += strcspn(at, "]");
    }
    *usage = at;
    return ret_word->len > 0;
}

/* "[--]" parts words and is none to complete. */
static bool is_separator(const struct usage_word *word)
{
    return word->len == 2 && memcmp(word->text, "--", 2) == 0;
}

static void print_options(const char *usage, bool valued_only)
{
    struct usage_word word;

    while (next_word(&usage, &word)) {
        if (word.option && !is_separator(&word) && (word.valued || !valued_only))
            printf(" %.*s", word.len, word.text);
    }
}

/* The arguments that are no options, in their order: NAME, FILE, or words to choose from. */
static void print_places(const char *usage)
{
    struct usage_word word;

    while (next_word(&usage, &word)) {
        if (!word.option)
            printf(" %.*s", word.len, word.text);
    }
}

/* Whether the last argument may be given again and again. */
static bool repeats(const struct command *command)
{
    size_t len = strlen(command->usage);

    return command->most < 0 && len > 0 && strstr(command->usage, "...") != NULL;
}

/* In single quotes; `quote` is what the shell wants for one inside them. */
static void print_quoted(const char *text, const char *quote)
{
    putchar('\'');
    for (; *text; text++) {
        if (*text == '\'')
            fputs(quote, stdout);
        else
            putchar(*text);
    }
    putchar('\'');
}

/* --- bash and zsh ------------------------------------------------------------------------------
 */

/*
 * A function that sets, for a command: `options`, those it has; `places`, its arguments in their
 * order; `more`, whether the last is repeated. And one that tells options with a value behind them.
 */
static void print_shell_table(const struct command *commands, size_t count)
{
    puts("_osvm_usage() {\n"
         "    options= places= more=\n"
         "    case $1 in");
    for (size_t i = 0; i < count; i++) {
        printf("    %s) options='", commands[i].name);
        print_options(commands[i].usage, false);
        printf("' places='");
        print_places(commands[i].usage);
        printf("' more=%s ;;\n", repeats(&commands[i]) ? "yes" : "");
    }
    puts("    esac\n"
         "}\n");
    printf("_osvm_has_value() {\n"
           "    case ' --state --run");
    for (size_t i = 0; i < count; i++)
        print_options(commands[i].usage, true);
    puts(" ' in\n"
         "    *\" $1 \"*) return 0 ;;\n"
         "    esac\n"
         "    return 1\n"
         "}\n");
    /* What is said of a component has its keys four columns in. */
    puts("_osvm_names() {\n"
         "    \"$@\" ps --json 2>/dev/null | sed -n 's/^    \"name\": \"\\([^\"]*\\)\".*/\\1/p'\n"
         "}\n");
}

static const char bash_function[] =
    "_osvm() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local command= options= places= more= place=0 i\n"
    "    local -a call=(\"${COMP_WORDS[0]/#\\~/$HOME}\")\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        --state | --run)\n"
    "            [ -n \"$command\" ] || call+=(\"${COMP_WORDS[i]}\" \"${COMP_WORDS[i+1]}\")\n"
    "            i=$((i + 1)) ;;\n"
    "        -*) ! _osvm_has_value \"${COMP_WORDS[i]}\" || i=$((i + 1)) ;;\n"
    "        *)\n"
    "            if [ -n \"$command\" ]; then place=$((place + 1)); "
    "else command=${COMP_WORDS[i]}; fi ;;\n"
    "        esac\n"
    "    done\n"
    "    case $before in\n"
    "    --state | --run) COMPREPLY=($(compgen -d -- \"$word\")); return ;;\n"
    "    esac\n"
    "    ((COMP_CWORD == 1)) || ! _osvm_has_value \"$before\" || return 0\n"
    "    if [ -z \"$command\" ]; then\n"
    "        case $word in\n"
    "        -*) COMPREPLY=($(compgen -W '--state --run --json --help --version' -- \"$word\")) "
    ";;\n"
    "        *) COMPREPLY=($(compgen -W \"$_osvm_commands\" -- \"$word\")) ;;\n"
    "        esac\n"
    "        return\n"
    "    fi\n"
    "    _osvm_usage \"$command\"\n"
    "    case $word in\n"
    "    -*) COMPREPLY=($(compgen -W \"$options --json\" -- \"$word\")); return ;;\n"
    "    esac\n"
    "    local -a kinds=($places)\n"
    "    [ -z \"$more\" ] || ((place < ${#kinds[@]})) || place=$((${#kinds[@]} - 1))\n"
    "    case ${kinds[place]} in\n"
    "    NAME) COMPREPLY=($(compgen -W \"$(_osvm_names \"${call[@]}\")\" -- \"$word\")) ;;\n"
    "    FILE)\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        local IFS=$'\\n'\n"
    "        COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
    "    *'|'*) COMPREPLY=($(compgen -W \"${kinds[place]//|/ }\" -- \"$word\")) ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "complete -F _osvm osvm";

static void print_bash(const struct command *commands, size_t count)
{
    puts("# bash completion for osvm; made by `osvm completion bash`\n");
    printf("_osvm_commands='");
    for (size_t i = 0; i < count; i++)
        printf(" %s", commands[i].name);
    puts("'\n");
    print_shell_table(commands, count);
    puts(bash_function);
}

static const char zsh_function[] =
    "_osvm() {\n"
    "    local command= options= places= more=\n"
    "    local -i place=1 i\n"
    "    local -a call=(${~words[1]}) kinds names\n"
    "    for ((i = 2; i < CURRENT; i++)); do\n"
    "        case $words[i] in\n"
    "        --state | --run)\n"
    "            [[ -n $command ]] || call+=(\"${(Q)words[i]}\" \"${(Q)words[i+1]}\")\n"
    "            i+=1 ;;\n"
    "        -*) ! _osvm_has_value $words[i] || i+=1 ;;\n"
    "        *) if [[ -n $command ]]; then place+=1; else command=$words[i]; fi ;;\n"
    "        esac\n"
    "    done\n"
    "    case $words[CURRENT-1] in\n"
    "    --state | --run) _files -/; return ;;\n"
    "    esac\n"
    "    (( CURRENT == 2 )) || ! _osvm_has_value $words[CURRENT-1] || return 1\n"
    "    if [[ -z $command ]]; then\n"
    "        if [[ $words[CURRENT] == -* ]]; then\n"
    "            compadd -- --state --run --json --help --version\n"
    "        else\n"
    "            _describe command _osvm_commands\n"
    "        fi\n"
    "        return\n"
    "    fi\n"
    "    _osvm_usage $command\n"
    "    if [[ $words[CURRENT] == -* ]]; then\n"
    "        compadd -- ${=options} --json\n"
    "        return\n"
    "    fi\n"
    "    kinds=(${=places})\n"
    "    [[ -z $more ]] || (( place <= $#kinds )) || place=$#kinds\n"
    "    case $kinds[place] in\n"
    "    NAME) names=(${(f)\"$(_osvm_names $call)\"}); compadd -a names ;;\n"
    "    FILE) _files ;;\n"
    "    *'|'*) compadd -- ${(s:|:)kinds[place]} ;;\n"
    "    *) return 1 ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "# Loaded from a folder of fpath, this file is the function; else it is sourced.\n"
    "if [[ $funcstack[1] == _osvm ]]; then\n"
    "    _osvm \"$@\"\n"
    "else\n"
    "    compdef _osvm osvm\n"
    "fi";

static void print_zsh(const struct command *commands, size_t count)
{
    puts("#compdef osvm\n"
         "# zsh completion for osvm; made by `osvm completion zsh`\n");
    puts("typeset -ga _osvm_commands=(");
    for (size_t i = 0; i < count; i++) {
        char line[256];

        snprintf(line, sizeof(line), "%s:%s", commands[i].name, commands[i].help);
        printf("    ");
        print_quoted(line, "'\\''");
        putchar('\n');
    }
    puts(")\n");
    print_shell_table(commands, count);
    puts(zsh_function);
}

/* --- fish --------------------------------------------------------------------------------------
 */

/* `__osvm_at COMMAND N` holds where the Nth argument of COMMAND is being written. */
static const char fish_functions[] =
    "# The words so far, without options and their values: a command, and its arguments.\n"
    "function __osvm_words\n"
    "    set -l skip 0\n"
    "    for word in (commandline -opc)[2..-1]\n"
    "        if test $skip = 1\n"
    "            set skip 0\n"
    "        else if contains -- $word $__osvm_valued\n"
    "            set skip 1\n"
    "        else if not string match -q -- '-*' $word\n"
    "            echo $word\n"
    "        end\n"
    "    end\n"
    "end\n"
    "\n"
    "function __osvm_in\n"
    "    set -l words (__osvm_words)\n"
    "    test (count $words) -gt 0; and test $words[1] = $argv[1]\n"
    "end\n"
    "\n"
    "function __osvm_at\n"
    "    set -l words (__osvm_words)\n"
    "    __osvm_in $argv[1]; and test (count $words) $argv[3] $argv[2]\n"
    "end\n"
    "\n"
    "function __osvm_names\n"
    "    set -l words (commandline -opc)\n"
    "    set -l call $words[1]\n"
    "    for i in (seq 2 2 (count $words))\n"
    "        contains -- $words[$i] --state --run; or break\n"
    "        set -a call $words[$i] $words[(math $i + 1)]\n"
    "    end\n"
    "    $call ps --json 2>/dev/null | string replace -rf '^    \"name\": \"([^\"]*)\".*' '$1'\n"
    "end\n"
    "\n"
    "complete -c osvm -f\n"
    "complete -c osvm -n 'test (count (__osvm_words)) = 0' -l state -xa "
    "'(__fish_complete_directories)' "
    "-d 'where components are kept'\n"
    "complete -c osvm -n 'test (count (__osvm_words)) = 0' -l run -xa "
    "'(__fish_complete_directories)' "
    "-d 'where what runs is kept'\n"
    "complete -c osvm -l json -d 'say it as JSON'";

static void print_fish_options(const struct command *command)
{
    const char *usage = command->usage;
    struct usage_word word;

    while (next_word(&usage, &word)) {
        if (!word.option || is_separator(&word))
            continue;
        printf("complete -c osvm -n '__osvm_in %s'", command->name);
        if (word.text[1] == '-') {
            printf(" -l %.*s", word.len - 2, word.text + 2);
        } else {
            for (int i = 1; i < word.len; i++) /* -it: -i and -t */
                printf(" -s %c", word.text[i]);
        }
        puts(word.valued ? " -x" : "");
    }
}

static void print_fish_places(const struct command *command)
{
    const char *usage = command->usage;
    struct usage_word word;
    int place = 0;

    while (next_word(&usage, &word)) {
        bool names = word.len == 4 && memcmp(word.text, "NAME", 4) == 0;
        bool files = word.len == 4 && memcmp(word.text, "FILE", 4) == 0;

        place += !word.option;
        if (word.option || !(names || files || memchr(word.text, '|', (size_t)word.len)))
            continue;
        printf("complete -c osvm -n '__osvm_at %s %d %s' ", command->name, place,
               repeats(command) && !strchr(usage, ' ') ? "-ge" : "=");
        if (names || files) {
            puts(names ? "-a '(__osvm_names)'" : "-F");
            continue;
        }
        printf("-a '");
        for (int i = 0; i < word.len; i++)
            putchar(word.text[i] == '|' ? ' ' : word.text[i]);
        puts("'");
    }
}

static void print_fish(const struct command *commands, size_t count)
{
    printf("# fish completion for osvm; made by `osvm completion fish`\n"
           "\nset -g __osvm_valued --state --run");
    for (size_t i = 0; i < count; i++)
        print_options(commands[i].usage, true);
    puts("\n");
    puts(fish_functions);
    for (size_t i = 0; i < count; i++) {
        printf("complete -c osvm -n 'test (count (__osvm_words)) = 0' -a %s -d ", commands[i].name);
        print_quoted(commands[i].help, "\\'");
        putchar('\n');
        print_fish_options(&commands[i]);
        print_fish_places(&commands[i]);
    }
}

int command_completion(const struct invocation *invocation)
{
    static const struct {
        const char *name;
        void (*print)(const struct command *commands, size_t count);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    size_t count;
    const struct command *commands = commands_table(&count);

    for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
        if (strcmp(invocation->arguments[0], shells[i].name) != 0)
            continue;
        shells[i].print(commands, count);
        return fflush(stdout) == 0 ? 0 : fail(EXIT_FAILED, "cannot write it");
    }
    return fail(EXIT_USAGE, "'%s' is no shell that is known: bash, zsh or fish",
                invocation->arguments[0]);
}
