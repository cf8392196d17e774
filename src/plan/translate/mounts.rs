//! The root, what is mounted in it, and what is hidden in it.

use core::ffi::CStr;
use core::fmt::Write;

use super::Translation;
use super::namespaces::{NEWNS, NEWUSER, id_mapping};
use super::strings::{PATH, climbs, path, put, said, sound};
use crate::error::Result;
use crate::limits;
use crate::oci;
use crate::plan::kind;
use crate::plan::mount::{BIND, BLANK, Mount, NO_BIND};
use crate::plan::names::{self, find_text};
use crate::plan::namespace::IdMap;
use crate::plan::options::{OPTIONS, RDONLY};
use crate::plan::root::Root;
use crate::text::{self, PathBuf};
use crate::wire::json::{Node, Text};

/// Longest `data`: mount(2) copies one page, and would cut what is beyond.
const DATA: usize = 4095;

const MS_RDONLY: u64 = libc::MS_RDONLY as u64;
const MS_PRIVATE: u32 = libc::MS_PRIVATE as u32;
const MS_RSLAVE: u32 = (libc::MS_SLAVE | libc::MS_REC) as u32;

impl Translation<'_, '_> {
    /// `root` and `linux.rootfsPropagation`. Where the root is on the host.
    #[inline(never)]
    pub(super) fn root(&mut self, root: &Node<'_>, propagation: &Node<'_>) -> Result<PathBuf> {
        root.required()?;
        let mut view = oci::config::Root::of(root);
        view.locate()?;
        let path_node = view.path();
        let text = path_node.read::<Text<'_>>()?;
        if text.is_empty() {
            return Err(path_node.refuse("is empty"));
        }
        let mut room = &mut *self.scratch;
        let place = path(&text, self.request.bundle.to_bytes(), &mut room)?;
        // runc's default: mounts made on the host later appear inside, never the other way round.
        let mut flags = MS_RSLAVE;
        if let Some(text) = said(propagation)? {
            flags = find_text(names::PROPAGATION, &text).ok_or_else(|| {
                propagation.refuse("expected shared, slave, private or unbindable, or one with r before it")
            })?;
        }
        // Without a pivot the old root stays reachable below, and a private one keeps the host's mounts busy.
        if self.request.no_pivot && flags & MS_PRIVATE != 0 {
            return Err(propagation.refuse("private is not safe without pivot_root"));
        }
        let value = Root {
            path: place,
            readonly: view.readonly().read()?,
            propagation: flags,
            no_pivot: self.request.no_pivot,
        };
        put(&mut self.writer, root, value)?;
        Ok(PathBuf::from_bytes(place.to_bytes()).unwrap_or_default())
    }

    /// `org.minirunc.overlay`: the layers, topmost first, with colons between them. A backslash takes the meaning from a colon
    /// or from another one, as in overlayfs's own `lowerdir`.
    #[inline(never)]
    pub(super) fn overlay(&mut self, annotations: &Node<'_>) -> Result<()> {
        let node = annotations.at("org.minirunc.overlay")?;
        if !node.is_present() {
            return Ok(());
        }
        if !self.namespaces.makes(NEWNS) {
            return Err(node.refuse("there is no new mount namespace in linux.namespaces"));
        }
        let (mut layer, mut escaped, mut count) = (PathBuf::new(), false, 0);
        for char in node.read::<Text<'_>>()?.chars().chain([':']) {
            if char == '\\' && !escaped {
                escaped = true;
                continue;
            }
            if char != ':' || escaped {
                escaped = false;
                if layer.as_bytes().is_empty() && char != '/' {
                    let _ = layer.push(self.request.bundle.to_bytes()).and_then(|()| layer.push(b"/"));
                }
                let fits = layer.push(char.encode_utf8(&mut [0; 4]).as_bytes());
                fits.map_err(|_| node.refuse(format_args!("a layer is longer than {PATH} bytes")))?;
                continue;
            }
            count += 1;
            if layer.as_bytes().is_empty() || count > limits::LAYERS {
                let most = limits::LAYERS;
                return Err(
                    node.refuse(format_args!("expected 1 to {most} directories, with ':' between them"))
                );
            }
            self.writer.string(kind::OVERLAY, layer.as_cstr());
            layer.truncate(0);
        }
        // It took the meaning from the colon that ends the last one.
        if !layer.as_bytes().is_empty() {
            return Err(node.refuse("a backslash at the end"));
        }
        sound(&self.writer, &node)
    }

    /// `mounts`, in their order.
    #[inline(never)]
    pub(super) fn mounts(&mut self, mounts: &Node<'_>, root: &PathBuf) -> Result<()> {
        mounts.list()?.try_for_each(|node| self.mount(&node, root.as_bytes()))?;
        if self.request.notify.is_some() {
            let set = libc::MOUNT_ATTR_RDONLY
                | libc::MOUNT_ATTR_NOSUID
                | libc::MOUNT_ATTR_NODEV
                | libc::MOUNT_ATTR_NOEXEC;
            let source = self.request.notify;
            let mount = Mount { destination: c"/run/notify", source, bind: BIND, set, ..BLANK };
            put(&mut self.writer, mounts, mount)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn mount(&mut self, node: &Node<'_>, root: &[u8]) -> Result<()> {
        let mut view = oci::Mount::of(node);
        view.locate()?;
        let mut room = &mut *self.scratch;
        let mut mount = BLANK;
        // Relative to `/` is deprecated, and what it always meant (config.md).
        mount.destination = inside(path(&view.destination().read()?, b"/", &mut room)?, root);
        if climbs(mount.destination.to_bytes()) {
            return Err(view.destination().refuse("leads out of the root"));
        }
        mount.data = take_options(&mut mount, view.options(), &mut room)?;
        let (fstype, source) = (said(view.kind())?, said(view.source())?);
        if mount.bind == NO_BIND && fstype.is_some_and(|fstype| fstype == "bind") {
            mount.bind = BIND;
        }
        if mount.bind == NO_BIND {
            // mount(2) takes `ro` for both, the mount and its superblock.
            mount.superblock |= if mount.set & u64::from(RDONLY) != 0 { MS_RDONLY } else { 0 };
            mount.superblock_clear |= if mount.clear & u64::from(RDONLY) != 0 { MS_RDONLY } else { 0 };
            if !mount.remount {
                let Some(fstype) = fstype else { return Err(view.kind().refuse("missing")) };
                mount.fstype = Some(fstype.c_str(PATH, &mut room)?);
                mount.source = source.map(|text| text.c_str(PATH, &mut room)).transpose()?;
            }
        } else {
            // The kernel would ignore them on a bind mount; runc refuses them, too.
            if mount.data.is_some() {
                return Err(view.options().refuse("a bind mount takes no options of a filesystem"));
            }
            (mount.superblock, mount.superblock_clear) = (0, 0);
            if !mount.remount {
                let Some(source) = source else { return Err(view.source().refuse("missing")) };
                mount.source = Some(path(&source, self.request.bundle.to_bytes(), &mut room)?);
            }
        }
        let maps = [view.uid_mappings(), view.gid_mappings()];
        if mount.idmap.is_some() || maps.iter().any(|map| !map.is_empty()) {
            if self.request.rootless {
                return Err(node.refuse("an ordinary user cannot have a mount's owners mapped"));
            }
            idmap(&mut mount, maps, self.namespaces.has(NEWUSER), node, &mut room)?;
        }
        put(&mut self.writer, node, mount)
    }

    /// `linux.maskedPaths` and `linux.readonlyPaths`.
    #[inline(never)]
    pub(super) fn hidden(&mut self, linux: &oci::Linux<'_>) -> Result<()> {
        let lists =
            [(kind::MASKED_PATH, linux.masked_paths()), (kind::READONLY_PATH, linux.readonly_paths())];
        for (kind, list) in lists {
            for node in list.list()? {
                let text = node.read::<Text<'_>>()?;
                // Relative to `/`, as runc has it: that is its working directory then.
                self.writer.string(kind, path(&text, b"/", &mut &mut *self.scratch)?);
                sound(&self.writer, &node)?;
            }
        }
        Ok(())
    }
}

/// A destination that is written as the host sees it, below the container's root, is meant as the container sees it: so has
/// runc always had it.
fn inside<'r>(destination: &'r CStr, root: &[u8]) -> &'r CStr {
    let below = destination.to_bytes_with_nul().strip_prefix(root);
    let below = below.filter(|below| below.starts_with(b"/") && !root.is_empty());
    below.and_then(|below| CStr::from_bytes_with_nul(below).ok()).unwrap_or(destination)
}

/// Whose files they seem to be. A map without an option is an `idmap` (config.md, "uidMappings").
#[cold]
fn idmap<'r>(
    mount: &mut Mount<'r>,
    [uids, gids]: [&Node<'_>; 2],
    users: bool,
    node: &Node<'_>,
    room: &mut &'r mut [u8],
) -> Result<()> {
    if mount.bind == NO_BIND || mount.remount {
        return Err(node.refuse("only a bind mount can have its owners mapped"));
    }
    mount.idmap = mount.idmap.or(Some(BIND));
    match (uids.is_empty(), gids.is_empty()) {
        (false, false) => {
            mount.uid_map = Some(map_text(uids, room)?);
            mount.gid_map = Some(map_text(gids, room)?);
            Ok(())
        }
        (true, true) if users => Ok(()),
        (true, true) => Err(node.refuse("without a user namespace, needs uidMappings and gidMappings")),
        _ => Err(node.refuse("uidMappings and gidMappings only make sense together")),
    }
}

/// A map as /proc/PID/uid_map takes it, off the front of `room`.
fn map_text<'r>(maps: &Node<'_>, room: &mut &'r mut [u8]) -> Result<&'r CStr> {
    let mut text = text::Into::new(core::mem::take(room));
    for node in maps.list()? {
        let IdMap { inside, outside, size, .. } = id_mapping(&node)?;
        writeln!(text, "{inside} {outside} {size}").map_err(|_| maps.refuse("too long"))?;
    }
    let _ = text.write_char('\0');
    let (text, rest) = text.split();
    *room = rest;
    CStr::from_bytes_with_nul(text).map_err(|_| maps.refuse("too long"))
}

/// Sorts the options into the mount; those that are not ours come back joined by commas.
fn take_options<'r>(
    mount: &mut Mount<'_>,
    options: &Node<'_>,
    room: &mut &'r mut [u8],
) -> Result<Option<&'r CStr>> {
    let mut used = 0;
    for node in options.list()? {
        let option = node.read::<Text<'_>>()?;
        match find_text(OPTIONS, &option) {
            Some(ask) => mount.ask(ask),
            None if option.is_empty() => {}
            None => {
                let mut free = room.get_mut(used..).unwrap_or_default();
                let length = option.c_str(DATA, &mut free)?.count_bytes();
                // Each ends in its NUL; a comma takes the place of the one before.
                if let Some(end) = used.checked_sub(1).and_then(|end| room.get_mut(end)) {
                    *end = b',';
                }
                used += length + 1;
                if used > DATA + 1 {
                    return Err(options.refuse(format_args!("longer than {DATA} bytes together")));
                }
            }
        }
    }
    let (data, rest) = core::mem::take(room).split_at_mut(used);
    *room = rest;
    Ok(CStr::from_bytes_with_nul(data).ok())
}
