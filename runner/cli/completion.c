/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch completion: what a shell needs to ask `midwatch complete`, which knows the
 * tables, the runbooks, the runs and the instances. */
#include "cli/cli.h"

#include "base/str.h"

#include <stdio.h>

/* bash breaks words at "=" too: it is given what stands behind it. */
static const char bash[] =
    "_midwatch() {\n"
    "    local line=${COMP_LINE:0:COMP_POINT} cut= value words\n"
    "    read -ra words <<<\"$line\"\n"
    "    [[ $line == *[[:space:]] ]] && words+=(\"\")\n"
    "    local word=${words[-1]}\n"
    "    [[ $word == *=* && $COMP_WORDBREAKS == *=* ]] && cut=${word%=*}=\n"
    "    COMPREPLY=()\n"
    "    while IFS=$'\\t' read -r value _; do\n"
    "        case $value in\n"
    "        :files) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$word\") ;;\n"
    "        :dirs) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- \"$word\") ;;\n"
    "        *=) compopt -o nospace; COMPREPLY+=(\"${value#\"$cut\"}\") ;;\n"
    "        *) COMPREPLY+=(\"${value#\"$cut\"}\") ;;\n"
    "        esac\n"
    "    done < <(\"${words[0]/#\\~/$HOME}\" complete -- \"${words[@]:1}\" 2>/dev/null)\n"
    "}\n"
    "complete -F _midwatch midwatch\n";

static const char zsh[] =
    "#compdef midwatch\n"
    "_midwatch() {\n"
    "    local line value\n"
    "    local -a values texts open\n"
    "    for line in \"${(@f)$(${(Q)~words[1]} complete -- \"${(@Q)words[2,CURRENT-1]}\" \"${(Q)PREFIX}\" 2>/dev/null)}\"; do\n"
    "        value=${line%%$'\\t'*}\n"
    "        case $value in\n"
    "        '') ;;\n"
    "        :files) _files ;;\n"
    "        :dirs) _files -/ ;;\n"
    "        *=) open+=(\"$value\") ;;\n"
    "        *) values+=(\"$value\"); texts+=(\"${value}${${line#$value}:+  -- ${line#$value$'\\t'}}\") ;;\n"
    "        esac\n"
    "    done\n"
    "    (( $#open )) && compadd -Q -S '' -- \"${open[@]}\"\n"
    "    (( $#values )) && compadd -l -d texts -- \"${values[@]}\"\n"
    "}\n"
    "compdef _midwatch midwatch\n";

static const char fish[] =
    "function __midwatch_complete\n"
    "    set -l words (commandline -opc)\n"
    "    set -l word (commandline -ct)\n"
    "    for line in ($words[1] complete -- $words[2..-1] $word 2>/dev/null)\n"
    "        switch $line\n"
    "            case ':files'\n"
    "                __fish_complete_path $word\n"
    "            case ':dirs'\n"
    "                __fish_complete_directories $word\n"
    "            case '*'\n"
    "                printf '%s\\n' $line\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c midwatch -e\n"
    "complete -c midwatch -f -a '(__midwatch_complete)'\n";

int verb_completion(struct cli *c)
{
    static const char *const names[] = {"bash", "zsh", "fish"}, *const scripts[] = {bash, zsh, fish};
    const char *near;
    size_t i;

    for (i = 0; i < 3; i++) {
        if (strcmp(c->args[0], names[i]) == 0) {
            fputs(scripts[i], stdout);
            return EXIT_OK;
        }
    }
    near = str_nearest(str_of(c->args[0]), names, 3);
    fprintf(stderr, "midwatch completion: bash, zsh or fish, not '%.60s'%s%s%s\n", c->args[0], near ? " (did you mean '" : "",
            near ? near : "", near ? "'?)" : "");
    return EXIT_USAGE;
}
