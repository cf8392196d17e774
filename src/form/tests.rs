use super::*;
use crate::wire::json::{Document, Rewriter};
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

/// The form `text` as OCI text, and what was warned of; `look` may refuse what it sees there.
fn rewritten(
    text: &str,
    request: &Request<'_>,
    look: &dyn Fn(&Node<'_>) -> Result<()>,
) -> Result<(String, Vec<String>)> {
    let mut memory = vec![0; 1 << 16];
    let document = Document::parse("config.json", text.as_bytes())?;
    let mut out = Rewriter::new(&document, &mut memory);
    let mut warnings = Vec::new();
    let request = Request { id: request.id, owner: request.owner, ..Request::default() };
    rewrite(&document, &request, &mut out, &mut |warning| warnings.push(warning.to_string()))?;
    let (text, origins) = out.finish("config.json")?;
    let oci = Document::rewritten("config.json", text, &origins)?;
    look(&oci.root())?;
    Ok((oci.text().to_string(), warnings))
}

#[test]
fn every_hole_is_filled_or_closed() {
    let whole = r#"{"hostname":"h","rootfs":"r","cmd":["c"],"env":["A=b"],"working_dir":"/w","user":"1:2","read_only":true,
        "terminal":true,"userns":true,"mounts":[{"destination":"/x"}],"network":"bridge,name=b","capabilities":[],
        "resources":{"memory":{},"cpu":{},"pids":{},"blkio":{}},"namespaces":[{"type":"mnt"},{"type":"net","path":"/n"}]}"#;
    for text in [r#"{"rootfs":"r","cmd":[]}"#, r#"{"image":"i","cmd":[]}"#, whole] {
        for request in
            [Request::default(), Request { id: Some(c"id"), owner: Some((5, 6)), ..Request::default() }]
        {
            let (oci, warnings) = rewritten(text, &request, &|_| Ok(())).unwrap();
            assert!(warnings.is_empty() && !oci.contains(['<', '>', '|']), "{warnings:?} {oci}");
        }
    }
}

/// The refusal of what `find` finds in the rewritten text.
fn refusal(find: for<'a> fn(&Node<'a>) -> Result<Node<'a>>) -> String {
    let text = r#"{"cmd":["c"],"rootfs":"r","user":"7","mounts":[{"a":1},{"b":[2,"x"]}],"capabilities":["A","B"],
        "namespaces":[{"type":"mnt"},{"type":"net"}],"network":{"mode":"path","path":"/n"}}"#;
    let told = rewritten(text, &Request::default(), &|root| Err(find(root)?.refuse("no")));
    told.unwrap_err().to_string()
}

fn nth<'a>(list: Node<'a>, at: usize) -> Result<Node<'a>> {
    Ok(list.list()?.nth(at).expect("an element"))
}

#[test]
fn what_is_refused_in_the_rewritten_text_is_told_by_the_forms_own_key() {
    assert_eq!(refusal(|root| root.at("root")?.at("path")), "config.json: rootfs: no");
    assert_eq!(refusal(|root| root.at("process")?.at("user")?.at("uid")), "config.json: user: no");
    assert_eq!(
        refusal(|root| nth(nth(root.at("mounts")?, 7)?.at("b")?, 1)),
        "config.json: mounts[1].b[1]: no"
    );
    assert_eq!(refusal(|root| nth(root.at("mounts")?, 6)?.at("type")), "config.json: mounts[0].type: no");
    assert_eq!(refusal(|root| root.at("linux")?.at("namespaces")), "config.json: namespaces: no");
    assert_eq!(
        refusal(|root| nth(root.at("linux")?.at("namespaces")?, 0)?.at("type")),
        "config.json: namespaces[0].type: no"
    );
    assert_eq!(
        refusal(|root| nth(root.at("linux")?.at("namespaces")?, 1)?.at("path")),
        "config.json: network.path: no"
    );
    // What nobody wrote is told by its own place.
    assert_eq!(refusal(|root| nth(root.at("mounts")?, 0)), "config.json: mounts[0]: no");
}

#[test]
fn a_key_that_is_not_known_is_told() {
    let (_, warnings) =
        rewritten(r#"{"rootfs":"r","cmd":[],"commmand":1}"#, &Request::default(), &|_| Ok(())).unwrap();
    assert_eq!(warnings, ["config.json: commmand: not a key of this form, ignored"]);
}
