# Completions of moat for bash 4 or later. The program says what fits, quoted as the word is.
_moat() {
    local line value
    COMPREPLY=()
    while IFS= read -r line; do
        value=${line%%$'\t'*}
        case $line in
            $'\tfiles\t'*) compopt -o default ;;
            $'\tdirectories\t'*) compopt -o dirnames ;;
            $'\tprograms\t'*) COMPREPLY+=($(compgen -c -- "$2")) ;;
            *) COMPREPLY+=("$value") ;;
        esac
    done < <("${1/#\~/$HOME}" complete bash -- "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2> /dev/null)
    # More of the word follows.
    if [ "${#COMPREPLY[@]}" -eq 1 ] && [[ ${COMPREPLY[0]} == *[=:] ]]; then
        compopt -o nospace
    fi
}
complete -F _moat moat
