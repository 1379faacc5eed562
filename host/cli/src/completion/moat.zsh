#compdef moat
# Completions of moat for zsh. The program says what fits, and zsh quotes it.
_moat() {
    local line value help
    local -a plain helped shown open
    while IFS= read -r line; do
        value=${line%%$'\t'*}
        help=${line#"$value"}
        help=${help#$'\t'}
        case $line in
            $'\tfiles\t'*) compset -p ${line##*$'\t'}; _files ;;
            $'\tdirectories\t'*) compset -p ${line##*$'\t'}; _files -/ ;;
            $'\tprograms\t'*) _command_names -e ;;
            *[=:]) open+=("$value") ;;
            *$'\t'*) helped+=("$value"); shown+=("$value  -- $help") ;;
            *) plain+=("$value") ;;
        esac
    done < <("${(Q)words[1]/#\~/$HOME}" complete zsh -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2> /dev/null)
    (( $#plain )) && compadd -a plain
    (( $#open )) && compadd -S '' -a open
    (( $#helped )) && compadd -l -d shown -a helped
    return 0
}
if [ "$funcstack[1]" = _moat ]; then
    _moat "$@"
else
    compdef _moat moat
fi
