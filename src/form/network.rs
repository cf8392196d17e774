//! `network`: `none`, `host` and `path=...` are namespaces in OCI's words; a bridge is an annotation.

use crate::error::Result;
use crate::wire::json::{Kind, Node, Rewriter, Text};

/// What the container's network is.
pub enum Network<'a> {
    /// Not said: the list of namespaces has it.
    Unsaid,
    /// A namespace of its own.
    None,
    /// The caller's.
    Host,
    /// One that is there: the value with its path, and that path as it is written.
    Path(Node<'a>, &'a str),
    /// A namespace of its own, with a link to a bridge.
    Bridge(Node<'a>),
}

impl<'a> Network<'a> {
    /// The value of `network`: an object, or a string as `--net` has it.
    pub fn read(node: &Node<'a>) -> Result<Self> {
        if !node.is_present() {
            return Ok(Self::Unsaid);
        }
        let object = is_object(node);
        let mode = if object { node.at("mode")? } else { *node };
        let text = written(&mode)?;
        let (word, rest) =
            if object { (text, "") } else { text.split_once(['=', ',']).unwrap_or((text, "")) };
        match word {
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            "path" => {
                let node = if object { node.at("path")? } else { mode };
                Ok(Self::Path(node, if object { written(&node)? } else { rest }))
            }
            "bridge" => Ok(Self::Bridge(*node)),
            _ => Err(mode.refuse("expected none, host, bridge or path")),
        }
    }

    /// Whether it takes the place of what the list of namespaces says.
    pub fn is_said(&self) -> bool {
        !matches!(self, Self::Unsaid)
    }

    /// The element of the list of namespaces.
    pub fn namespace(&self, out: &mut Rewriter<'_, 'a>) {
        out.text(r#"{"type":"network""#);
        if let Self::Path(node, path) = self {
            out.text(r#","path":"#);
            out.instead(node, &["\"", path, "\""]);
        }
        out.text("}");
    }

    /// The annotation's value, for what takes more than a namespace.
    pub fn annotation(&self, out: &mut Rewriter<'_, 'a>) -> Result<()> {
        let Self::Bridge(node) = self else { return Ok(()) };
        if !is_object(node) {
            out.copy(node);
            return Ok(());
        }
        let [name, address, gateway] = node.pick("bridge address gateway")?;
        let mut parts = ["\"bridge", "", "", "", "", "", "", "\""];
        for (at, (key, node)) in
            [(",name=", name), (",address=", address), (",gateway=", gateway)].iter().enumerate()
        {
            if let (true, Some([before, value])) = (node.is_present(), parts.get_mut(2 * at + 1..2 * at + 3))
            {
                (*before, *value) = (key, written(node)?);
            }
        }
        out.instead(node, &parts);
        Ok(())
    }
}

fn is_object(node: &Node<'_>) -> bool {
    node.value().is_some_and(|value| value.kind() == Kind::Object)
}

/// A string as it is written, without its quotes.
fn written<'a>(node: &Node<'a>) -> Result<&'a str> {
    node.read::<Text<'a>>()?;
    Ok(node.value().map_or("", |value| value.escaped()))
}
