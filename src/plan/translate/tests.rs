use super::*;
use crate::plan::{Plan, print};
use nsenter::attr::Message;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

const RUNC_SPEC: &str = include_str!("golden/runc-spec.json");

fn request() -> Request<'static> {
    Request {
        id: c"c1",
        bundle: c"/bundle",
        no_pivot: false,
        no_new_keyring: false,
        preserve_fds: 0,
        cgroups_disabled: false,
        rootless: false,
    }
}

fn message(config: &str, request: &Request<'_>) -> core::result::Result<(Vec<u8>, Vec<String>), String> {
    let document = Document::parse("config.json", config.as_bytes()).map_err(|error| error.to_string())?;
    let mut buffer = vec![0; 3 * config.len() + 65_536];
    let mut scratch = vec![0; SCRATCH];
    let mut warnings = Vec::new();
    let writer = Writer::new(&mut buffer, 1);
    let mut warn = |error: &Error| warnings.push(error.to_string());
    match translate(&document, request, &mut warn, writer, &mut scratch) {
        Ok(bytes) => Ok((bytes.to_vec(), warnings)),
        Err(error) => Err(error.to_string()),
    }
}

fn printed(bytes: &[u8]) -> Result<String> {
    let (message, _) = Message::parse(bytes).map_err(crate::plan::broken)?;
    let mut text = String::new();
    print::print(&Plan::new(message), &mut text)?;
    Ok(text)
}

fn translated(config: &str) -> String {
    printed(&message(config, &request()).unwrap().0).unwrap()
}

#[test]
fn runc_spec() {
    assert!(translated(RUNC_SPEC).starts_with("id c1\nbundle /bundle\n"));
}
