//! The dialogue over real sockets.

use super::*;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::vec::Vec;

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

fn channel(end: &UnixStream) -> Channel {
    Channel::new(end.as_raw_fd())
}

fn error_bytes() -> Vec<u8> {
    emit_error(&mut [0; SMALL], Kind::Error, "setns", "/n", Some(22)).unwrap().to_vec()
}

#[test]
#[cfg(target_endian = "little")]
fn golden_bytes() {
    let simple = [
        (Kind::MapPlease, 0x12),
        (Kind::MapDone, 0x13),
        (Kind::HooksPlease, 0x15),
        (Kind::HooksDone, 0x16),
        (Kind::Ready, 0x17),
    ];
    for (kind, number) in simple {
        let (ours, mut theirs) = pair();
        channel(&ours).send_simple(kind).unwrap();
        drop(ours);
        let mut bytes = Vec::new();
        theirs.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [16, 0, 0, 0, number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    assert_eq!(
        emit_number(&mut [0; SMALL], Kind::Pid, 0x0102_0304).unwrap(),
        [24, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1, 0, 4, 3, 2, 1]
    );
    let expected: &[u8] = &[
        44, 0, 0, 0, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // ERROR
        10, 0, 1, 0, b's', b'e', b't', b'n', b's', 0, 0, 0, // op
        7, 0, 2, 0, b'/', b'n', 0, 0, // subject
        8, 0, 3, 0, 22, 0, 0, 0, // errno
    ];
    assert_eq!(error_bytes(), expected);
}

#[test]
fn what_a_stage_says_is_what_the_runtime_hears() {
    let (stage, runtime) = pair();
    let hears = channel(&runtime);
    channel(&stage).send_simple(Kind::MapPlease).unwrap();
    channel(&stage).send_pid(77).unwrap();
    channel(&stage).send_listener(5, true).unwrap();
    channel(&stage).send_listener(stage.as_raw_fd(), false).unwrap();
    channel(&stage).send_error("mount", "/proc", None).unwrap();
    channel(&stage).send_simple(Kind::Ready).unwrap();
    drop(stage);
    assert_eq!(hears.answer(), Ok(Answer::MapPlease));
    assert_eq!(hears.answer(), Ok(Answer::Pid(77)));
    assert_eq!(hears.answer(), Ok(Answer::Listener(Err(5))));
    assert!(matches!(hears.answer(), Ok(Answer::Listener(Ok(_)))));
    assert_eq!(hears.answer(), Err(Error::refused("mount", b"/proc")));
    assert_eq!(hears.answer(), Ok(Answer::Ready));
    assert_eq!(hears.answer(), Ok(Answer::Closed));
}

#[test]
fn an_overlong_error_arrives_clipped() {
    let (stage, runtime) = pair();
    channel(&stage).send_error(&"o".repeat(5000), &"s".repeat(5000), Some(5)).unwrap();
    let error = channel(&runtime).answer().unwrap_err();
    assert_eq!((error.op().len(), error.subject().len()), (OP, SUBJECT));
    assert_eq!(error.errno(), Some(Errno(5)));
}

/// Such a number would be no errno to whoever shows it.
#[test]
fn an_errno_that_no_call_answers_is_refused() {
    for (number, is_one) in
        [(0, false), (1, true), (4095, true), (4096, false), (-1, false), (i32::MIN, false)]
    {
        let (stage, runtime) = pair();
        channel(&stage).send_error("x", "y", Some(number)).unwrap();
        let error = channel(&runtime).answer().unwrap_err();
        assert_eq!(error.errno(), Some(Errno(number)).filter(|_| is_one), "{number}");
    }
}

#[test]
fn who_sends_to_a_stage_that_has_failed_gets_its_error() {
    let (stage, runtime) = pair();
    channel(&stage).send_error("setns", "/n", Some(22)).unwrap();
    drop(stage);
    let sent = channel(&runtime).send_simple(Kind::MapDone);
    assert_eq!(sent, Err(Error::system("setns", b"/n", Errno(22))));
}

#[test]
fn one_message_is_read_and_the_next_left_in_the_socket() {
    let (stage, mut runtime) = pair();
    channel(&stage).send_simple(Kind::MapDone).unwrap();
    channel(&stage).send_pid(9).unwrap();
    drop(stage);
    channel(&runtime).expect(Kind::MapDone, &mut Fds::default()).unwrap();
    let mut rest = Vec::new();
    runtime.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, emit_number(&mut [0; SMALL], Kind::Pid, 9).unwrap());
}

#[test]
fn a_message_larger_than_the_socket_buffer_arrives_whole_with_its_descriptors() {
    let (stage, runtime) = pair();
    let mut buffer = std::vec![0; 3 << 20];
    let mut writer = Writer::new(&mut buffer, Kind::Plan as u16);
    (0..40).for_each(|_| writer.bytes(1, &[7; 60_000]));
    let plan = writer.finish().unwrap();
    let (sink, mut source) = pair();
    std::thread::scope(|scope| {
        scope.spawn(|| channel(&runtime).send_with_fds(plan, &[sink.as_raw_fd(), 0]).unwrap());
        let mut fds = Fds::default();
        let header = channel(&stage).recv_header(&mut fds).unwrap().unwrap();
        let mut received = std::vec![0; header.len];
        assert_eq!(channel(&stage).recv_rest(&header, &mut received).unwrap().attrs.count(), 40);
        assert_eq!(received, plan);
        assert_eq!(fds.len(), 2);
        let copy = fds.take(0).unwrap();
        assert_eq!((fds.get(0), fds.get(1).is_some()), (None, true));
        raw::write(copy.as_raw(), b"x").unwrap();
    });
    source.read_exact(&mut [0]).unwrap();
}

#[test]
fn descriptors_nobody_asked_for_are_closed() {
    let (stage, runtime) = pair();
    let (sink, mut source) = pair();
    let mut buffer = [0; HEADER];
    let message = Writer::new(&mut buffer, Kind::Ready as u16).finish().unwrap();
    channel(&stage).send_with_fds(message, &[sink.as_raw_fd()]).unwrap();
    drop(sink);
    assert_eq!(channel(&runtime).answer(), Ok(Answer::Ready));
    // End of file: no copy of the other end is open.
    assert_eq!(source.read(&mut [0]).unwrap(), 0);
}

#[test]
fn more_descriptors_than_a_message_takes_are_refused() {
    let (stage, _runtime) = pair();
    let sent = channel(&stage).send_with_fds(&[0; HEADER], &[0; FDS + 1]);
    assert_eq!(sent.unwrap_err().errno(), Some(Errno(libc::ETOOMANYREFS)));
}

#[test]
fn a_console_comes_with_its_descriptor_or_is_refused() {
    let (stage, runtime) = pair();
    let (sink, _source) = pair();
    let mut buffer = [0; HEADER];
    let message = Writer::new(&mut buffer, Kind::Console as u16).finish().unwrap();
    assert_eq!(message[..6], [16, 0, 0, 0, 0x1a, 0]);
    channel(&stage).send_with_fds(message, &[sink.as_raw_fd()]).unwrap();
    assert!(matches!(channel(&runtime).answer(), Ok(Answer::Console(_))));
    channel(&stage).send(message).unwrap();
    assert!(channel(&runtime).answer().is_err());
}

/// Through a real socket, closed behind the bytes: an answer or an error, never a hang or a panic.
#[test]
fn a_truncated_or_corrupted_answer_is_refused_or_read_as_another_valid_one() {
    let hear = |bytes: &[u8]| {
        let (mut stage, runtime) = pair();
        stage.write_all(bytes).unwrap();
        drop(stage);
        channel(&runtime).answer()
    };
    let pid = emit_number(&mut [0; SMALL], Kind::Pid, 9).unwrap().to_vec();
    for whole in [pid, error_bytes()] {
        assert_eq!(hear(&[]), Ok(Answer::Closed));
        for cut in 1..whole.len() {
            assert_eq!(hear(&whole[..cut]).unwrap_err().op(), "message");
        }
        for at in 0..whole.len() {
            for value in 0..=255 {
                let mut bent = whole.clone();
                bent[at] = value;
                if let Ok(Answer::Pid(pid)) = hear(&bent) {
                    assert!(pid > 0);
                }
            }
        }
    }
}

#[test]
fn an_end_of_file_in_a_stage_names_the_runtime() {
    let (stage, runtime) = pair();
    drop(runtime);
    assert_eq!(channel(&stage).expect(Kind::MapDone, &mut Fds::default()), Err(silent(c"runtime")));
}
