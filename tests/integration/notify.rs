//! sd_notify(3) through the container, for a runtime that is a systemd service.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread;
use std::time::Duration;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::{Runtime, patience};
use minirunc_tests::{not_for, only_ours};

use crate::life::{create, start, status, until};

/// systemd's socket, and a bundle whose runtime is told of it.
fn service(questions: &[&str]) -> (Bundle, UnixDatagram) {
    let mut bundle = Bundle::new().ask(questions);
    let path = bundle.path("systemd");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(patience())).unwrap();
    bundle.env.push(("NOTIFY_SOCKET".into(), path));
    (bundle, socket)
}

/// Everything that systemd hears until a time without a word; it answers a barrier by closing what came with it.
fn heard(socket: &UnixDatagram) -> Vec<String> {
    let mut all = vec![];
    let mut buffer = [0; 4096];
    while let Ok(len) = socket.recv(&mut buffer) {
        all.extend(String::from_utf8_lossy(&buffer[..len]).lines().map(str::to_string));
        if all.iter().any(|line| line.starts_with("READY=") || line.starts_with("BARRIER")) {
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        }
    }
    all
}

#[test]
fn a_foreground_run_passes_readiness_on() {
    let (bundle, socket) = service(&["env", "notify STATUS=up,READY=1", "notify READY=1", "sleep 300"]);
    let running = bundle.spawn();
    let runtime = format!("MAINPID={}", running.pid());
    let out = running.finish();
    assert!(out.facts()["env"].contains("NOTIFY_SOCKET=/run/notify/notify.sock"), "{}", out.stdout);
    assert_eq!(&out.facts()["notify STATUS=up,READY=1"], "ok");
    let heard = heard(&socket);
    assert!(heard.contains(&"READY=1".to_string()), "{heard:?}");
    assert!(heard.contains(&runtime), "the runtime is the main process: {heard:?}");
    assert_eq!(heard.iter().filter(|line| *line == "READY=1").count(), 1, "{heard:?}");
}

#[test]
fn start_waits_until_the_process_is_ready_and_names_it() {
    let (bundle, socket) = service(&["sleep 400", "notify READY=1", "sleep 60000"]);
    create(&bundle, &[]).ok();
    let listener = thread::spawn(move || heard(&socket));
    let began = std::time::Instant::now();
    start(&bundle).ok();
    assert!(began.elapsed() > Duration::from_millis(390), "it did not wait");
    assert_eq!(status(&bundle), "running");
    let heard = listener.join().unwrap();
    for line in ["READY=1", &format!("MAINPID={}", bundle.pid())] {
        assert!(heard.contains(&line.to_string()), "{line}: {heard:?}");
    }
    if Runtime::get().ours() {
        assert!(heard.contains(&"BARRIER=1".to_string()), "{heard:?}");
    }
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn a_detached_run_comes_back_when_its_process_ends_before_it_is_ready() {
    not_for!("runc", "1.1 waits for ever");
    let (bundle, _socket) = service(&["sleep 300"]);
    bundle.run_with(&["--detach"]).ok();
    until(&bundle, "stopped");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn an_abstract_socket_is_reached() {
    let mut bundle = Bundle::new().ask(&["notify READY=1", "sleep 300"]);
    let name = format!("minirunc-{}", bundle.id);
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(patience())).unwrap();
    bundle.env.push(("NOTIFY_SOCKET".into(), format!("@{name}")));
    bundle.run().ok();
    assert!(heard(&socket).contains(&"READY=1".to_string()));
}

#[test]
fn nobody_in_the_container_puts_another_socket_in_the_place() {
    let (bundle, _socket) =
        service(&["unlink /run/notify/notify.sock", "create /run/notify/x", "notify READY=1", "sleep 100"]);
    let facts = bundle.facts();
    assert_eq!(&facts["unlink /run/notify/notify.sock"], "!EROFS");
    assert_eq!(&facts["create /run/notify/x"], "!EROFS");
}

#[test]
fn a_systemd_that_is_not_there_is_an_error_before_the_process_runs() {
    only_ours!("runc goes on without");
    let mut bundle = Bundle::new();
    bundle.env.push(("NOTIFY_SOCKET".into(), "/nowhere".into()));
    bundle.run().refused(&["NOTIFY_SOCKET /nowhere: ENOENT"]);
}

#[test]
fn without_systemd_there_is_no_socket() {
    let facts = Bundle::new().ask(&["stat /run/notify"]).facts();
    assert!(!facts.has("env.NOTIFY_SOCKET"));
    assert_eq!(&facts["stat /run/notify"], "!ENOENT");
}
