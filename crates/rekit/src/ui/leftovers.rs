//! What BuildKit and buildx left, for a person.

use rekit_core::inventory::{Inventory, Leftover, LeftoverKind};

use super::style::{Style, bytes};

pub(super) const HEADS: [&str; 5] = ["PATH", "KIND", "SIZE", "WRITTEN", "WHY IT IS UNUSED"];

/// Returns a row for each thing that is left.
pub(super) fn rows(inventory: &Inventory, style: &Style) -> Vec<Vec<String>> {
    let row = |leftover: &Leftover| {
        let (kind, size) = match leftover.kind {
            LeftoverKind::Socket => ("socket", "-".to_owned()),
            LeftoverKind::Folder => ("folder", bytes(leftover.size_bytes)),
            LeftoverKind::File => ("file", bytes(leftover.size_bytes)),
        };
        vec![
            leftover.path.to_string(),
            kind.to_owned(),
            size,
            style.ago(leftover.modified),
            leftover.unused.clone(),
        ]
    };
    inventory.leftovers.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use rekit_core::socket::DeadSocket;

    use super::*;

    #[test]
    fn r2_3_4_what_is_left_is_shown_with_the_reason() {
        let mut sample: Inventory = serde_json::from_str(include_str!("sample.json")).unwrap();
        let socket = Leftover {
            path: "/run/buildkit/buildkitd.sock".into(),
            kind: LeftoverKind::Socket,
            origin: "a BuildKit daemon serves at this path".to_owned(),
            unused: "nobody listens".to_owned(),
            owner: 0,
            size_bytes: 0,
            modified: sample.taken,
            store: None,
            socket: Some(DeadSocket {
                made: sample.taken,
                mode: 0o660,
                owner: 0,
                group: 0,
            }),
            stays: None,
        };
        let folder = Leftover {
            path: "/tmp/buildkit-mount3141592653".into(),
            kind: LeftoverKind::Folder,
            size_bytes: 4096,
            socket: None,
            ..socket.clone()
        };
        sample.leftovers = vec![socket, folder];
        let style = Style {
            colour: false,
            width: 120,
            now: sample.taken,
        };
        let shown: Vec<String> = rows(&sample, &style)
            .iter()
            .map(|row| row.join("|"))
            .collect();
        let expected = [
            "/run/buildkit/buildkitd.sock|socket|-|just now|nobody listens",
            "/tmp/buildkit-mount3141592653|folder|4.0 KiB|just now|nobody listens",
        ];
        assert_eq!(shown, expected);
    }
}
