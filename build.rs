//! Warns if the browser's files are not built yet. The server then answers with a page that says so.

fn main() {
    println!("cargo:rerun-if-changed=static/dist");
    if !std::path::Path::new("static/dist/index.html").exists() {
        println!(
            "cargo:warning=static/dist is empty: the demo page is left out. `npm ci && npm run build` in static/ makes it"
        );
    }
}
