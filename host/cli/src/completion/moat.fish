# Completions of moat for fish. The program says what fits, and fish quotes it.
function __moat_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l typed (commandline --current-token --cut-at-cursor)
    # In quotes that are open still, it has no escapes.
    set -l token (string unescape -- $typed; or string replace --regex '^[\'"]' '' -- $typed)
    for line in ($words[1] complete fish -- $words $token 2> /dev/null)
        set -l parts (string split \t -- $line)
        if test -n "$parts[1]"
            printf '%s\n' $line
            continue
        end
        set -l kept (string sub --length $parts[3] -- $token)
        set -l rest (string sub --start (math $parts[3] + 1) -- $token)
        switch $parts[2]
            case files
                for path in (__fish_complete_path $rest)
                    printf '%s%s\n' $kept $path
                end
            case directories
                for path in (__fish_complete_directories $rest)
                    printf '%s%s\n' $kept $path
                end
            case programs
                complete --do-complete -- $typed
        end
    end
end
complete --command moat --no-files --keep-order --arguments '(__moat_complete)'
