//! `RESTORE.md`: how to get everything back by hand, with stock tools.

use crate::manifest::{FileInManifest, Manifest, TreeRecord};

/// The file's name.
pub(crate) const RESTORE: &str = "RESTORE.md";

/// Returns the text; each command in it is tried by a test.
pub(crate) fn text(manifest: &Manifest) -> String {
    let head = format!(
        "# Restore `{}` by hand\n\n\
         You need root, `sha256sum`, `zstd` and GNU `tar`. Run the commands in the directory of this file.\n\n\
         First see that nothing is damaged; the command says nothing and ends with 0:\n\n\
         ```sh\nsha256sum --quiet -c SHA256SUMS\n```\n",
        manifest.id
    );
    let trees = manifest.trees.iter().map(tree);
    let title = if manifest.files.is_empty() {
        ""
    } else {
        "\n## Further files\n\n"
    };
    let files = manifest.files.iter().map(file);
    [head]
        .into_iter()
        .chain(trees)
        .chain([title.to_owned()])
        .chain(files)
        .collect()
}

fn tree(tree: &TreeRecord) -> String {
    let (name, counts) = (&tree.name, &tree.counts);
    format!(
        "\n## Tree `{name}`\n\n\
         {} files, {} directories, {} bytes. `TARGET` must be an empty directory.\n\n\
         ```sh\n\
         find trees/{name} -name '*.tar.zst' -print0 | LC_ALL=C sort -z | xargs -0 cat | zstd -dcq \\\n  \
         | LC_ALL=C tar --xattrs --xattrs-include='*' --numeric-owner -xpf - -C \"$TARGET\"\n\
         ```\n\n\
         All the options are needed: without them layers lose their marks, and a cache restored so builds wrong\n\
         images without a word.\n",
        counts.files, counts.directories, counts.bytes
    )
}

fn file(file: &FileInManifest) -> String {
    format!("- `{}`, {} bytes\n", file.name, file.bytes)
}
