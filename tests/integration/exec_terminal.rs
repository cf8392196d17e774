//! The terminal and the sockets of a second process.

use std::fs;

use minirunc_tests::facts::Facts;
use minirunc_tests::not_for;
use serde_json::json;

use crate::exec::Target;
use crate::sockets::{Caller, screen};
use crate::terminal::Terminal;

#[test]
fn a_terminal_is_the_containers_own_and_has_the_outer_ones_size() {
    let target = Target::new();
    let questions = ["foreground", "winsize", "readlink /proc/self/fd/0", "line"];
    let args: Vec<&str> = [&["exec", "-t", "-u", "1000", &target.0.id, "/probe"], &questions[..]].concat();
    let mut terminal = Terminal::of(target.0.command(&args));
    terminal.until("readlink /proc/self/fd/0=");
    terminal.type_in("hello\r");
    assert_eq!(terminal.end(), 0);
    let facts = terminal.facts();
    assert_eq!((&facts["tty.0"], &facts["tty.1"], &facts["tty.2"]), ("1", "1", "1"));
    assert_eq!(facts["foreground"], facts["pid"]);
    assert_eq!((&facts["winsize"], &facts["line"]), ("33x111", "hello\n"));
    assert!(facts["readlink /proc/self/fd/0"].starts_with("/dev/pts/"));
}

#[test]
fn a_terminal_has_its_size_before_the_process_looks() {
    let target = Target::new();
    for _ in 0..8 {
        let mut terminal = Terminal::of(target.0.command(&["exec", "-t", &target.0.id, "/probe", "winsize"]));
        assert_eq!(terminal.end(), 0);
        assert_eq!(&terminal.facts()["winsize"], "33x111");
    }
}

#[test]
fn the_terminal_of_the_containers_first_process_is_not_taken_over() {
    let target = Target::new();
    let path = target.process(|p| p["terminal"] = json!(true));
    let out = target.0.runtime(&["exec", "-d", "-p", &path, &target.0.id]);
    out.ended(255).says("cannot allocate tty if runc will detach without setting console socket");
    let out = target.exec(&["--console-socket", "/nowhere"], &["/probe"]);
    out.ended(255).says("cannot use console socket if runc will not detach or allocate tty");
}

#[test]
fn a_detached_process_sends_its_terminal_in_one_message() {
    let target = Target::new();
    let caller = Caller::new(&target.0, "console");
    let path = target.process(|p| {
        p["terminal"] = json!(true);
        p["consoleSize"] = json!({"height": 20, "width": 60});
        p["args"] = json!(["/probe", "winsize"]);
    });
    let flags =
        [&["exec", "-d", "-p", &path][..], &caller.flag("--console-socket"), &[&target.0.id]].concat();
    target.0.runtime(&flags).ok();
    let screen = screen(caller.message().expect("a message").only());
    let facts = Facts::parse(&screen);
    assert_eq!((&facts["tty.0"], &facts["winsize"]), ("1", "20x60"));
}

#[test]
fn the_pidfd_socket_gets_a_pidfd_of_the_process() {
    use std::os::fd::AsRawFd;
    not_for!("runc", "1.1 has no pidfd socket");
    let target = Target::new();
    let caller = Caller::new(&target.0, "pidfd");
    let file = target.0.path("pid");
    let flags = [&["-d", "--pid-file", &file][..], &caller.flag("--pidfd-socket")].concat();
    target.exec(&flags, &["/probe", "sleep 600000"]).ok();
    let pidfd = caller.message().expect("a message").only();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    let pid = fs::read_to_string(&file).unwrap();
    assert!(info.contains(&format!("Pid:\t{pid}\n")), "{info}");
}
