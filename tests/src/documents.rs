//! Completion for bash and zsh and the man page, from the table that parser and `--help` read. Made outside the executable,
//! which would carry them for nothing.

use std::fmt::Write;

use minirunc::cmd::lex::{self, Flag};
use minirunc::cmd::{COMMANDS, Command, FLAGS, NAME};

/// Whether the first operand of a command is a container.
fn wants_id(command: &Command) -> bool {
    command.operands.starts_with("ID") || command.operands.starts_with("[ID")
}

/// Each spelling of a flag.
fn spellings(flag: &Flag) -> Vec<String> {
    let letter = flag.letter.map(|letter| format!("-{letter}"));
    letter.into_iter().chain([format!("--{}", flag.name)]).collect()
}

fn words(flags: &'static str) -> String {
    lex::flags(flags).flat_map(|flag| spellings(&flag)).collect::<Vec<_>>().join(" ")
}

/// For `/usr/share/bash-completion/completions/minirunc-static`.
pub fn bash() -> String {
    let valued: Vec<_> =
        lex::flags(FLAGS).filter(|flag| flag.value.is_some()).flat_map(|flag| spellings(&flag)).collect();
    let verbs = COMMANDS.iter().map(|command| command.name).collect::<Vec<_>>().join(" ");
    let (mut cases, mut ids) = (String::new(), Vec::new());
    for command in COMMANDS {
        writeln!(cases, "    {}) flags=\"{}\" ;;", command.name, words(command.flags)).unwrap();
        ids.extend(wants_id(command).then_some(command.name));
    }
    format!(
        r#"# bash completion for {NAME}; generated
_minirunc_static() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} verb= flags= i
    local -a globals=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in
        {valued}) globals+=("${{COMP_WORDS[i]}}" "${{COMP_WORDS[i + 1]}}"); ((i++)) ;;
        -*) ;;
        *) verb=${{COMP_WORDS[i]}}; break ;;
        esac
    done
    case $verb in
    '') flags="{globals}"; [[ $current == -* ]] || flags="{verbs} help" ;;
    help) flags="{verbs}" ;;
{cases}    esac
    if [[ $current != -* ]]; then
        case $verb in
        {ids}) flags=$("${{COMP_WORDS[0]}}" "${{globals[@]}}" list -q 2>/dev/null) ;;
        '' | help) ;;
        *) return ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
}}
complete -o default -F _minirunc_static {NAME}
"#,
        valued = valued.join(" | "),
        globals = words(FLAGS),
        ids = ids.join(" | "),
    )
}

/// A flag as zsh's `_arguments` wants it.
fn zsh_flags(flags: &'static str, indent: &str) -> String {
    let plain = |text: &str| {
        let escaped: String =
            text.chars().flat_map(|c| "[]:\\".contains(c).then_some('\\').into_iter().chain([c])).collect();
        escaped.replace('\'', "'\\''")
    };
    let mut text = String::new();
    for flag in lex::flags(flags) {
        for spelling in spellings(&flag) {
            let value = flag.value.map_or(String::new(), |value| format!(":{}:_files", plain(value)));
            write!(text, " \\\n{indent}'*{spelling}[{}]{value}'", plain(flag.help)).unwrap();
        }
    }
    text
}

/// For a directory of zsh's `$fpath`, as `_minirunc-static`.
pub fn zsh() -> String {
    let (mut verbs, mut cases) = (String::new(), String::new());
    for command in COMMANDS {
        writeln!(
            verbs,
            "        '{}:{}'",
            command.name,
            command.help.replace('\'', "'\\''").replace(':', "\\:")
        )
        .unwrap();
        let operand = if wants_id(command) { "'*:id:_minirunc_static_ids'" } else { "'*:operand:_files'" };
        let flags = zsh_flags(command.flags, "            ");
        writeln!(cases, "        {}) _arguments {operand}{flags} ;;", command.name).unwrap();
    }
    format!(
        r#"#compdef {NAME}
# generated
_minirunc_static_ids() {{
    local -a ids
    ids=(${{(f)"$({NAME} list -q 2>/dev/null)"}})
    compadd -a ids
}}
_minirunc_static() {{
    local state
    local -a verbs
    verbs=(
{verbs}    )
    _arguments -C '1:command:->verb' '*::argument:->rest'{globals}
    case $state in
    verb) _describe command verbs ;;
    rest)
        case $words[1] in
{cases}        esac ;;
    esac
}}
_minirunc_static "$@"
"#,
        globals = zsh_flags(FLAGS, "        "),
    )
}

/// What troff would take for an instruction is made text.
fn troff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

fn man_flags(flags: &'static str) -> String {
    let mut text = String::new();
    for flag in lex::flags(flags) {
        let names = spellings(&flag)
            .iter()
            .map(|name| format!("\\fB{}\\fR", troff(name)))
            .collect::<Vec<_>>()
            .join(", ");
        let value = flag.value.map_or(String::new(), |value| format!(" \\fI{}\\fR", troff(value)));
        writeln!(text, ".TP\n{names}{value}\n{}", troff(flag.help)).unwrap();
    }
    text
}

/// The man page, section 8.
pub fn man() -> String {
    let name = troff(NAME);
    let mut text = format!(
        ".TH MINIRUNC\\-STATIC 8\n.SH NAME\n{name} \\- runs OCI containers from one small static file\n.SH SYNOPSIS\n\
         .B {name}\n[global flags] \\fIcommand\\fR [flags] [operands]\n.SH GLOBAL FLAGS\n{}.SH COMMANDS\n",
        man_flags(FLAGS)
    );
    for command in COMMANDS {
        let (verb, operands) = (troff(command.name), troff(command.operands));
        writeln!(text, ".SS {verb} {operands}\n{}", troff(command.help)).unwrap();
        text.push_str(&man_flags(command.flags));
    }
    text.push_str(".SH SEE ALSO\n.BR runc (8),\n.BR crun (1)\n");
    text
}
