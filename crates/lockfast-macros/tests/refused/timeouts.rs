#[lockfast::locked("a.lock", timeout = "soon")]
fn nonsense() -> lockfast::Result<()> {
    Ok(())
}

#[lockfast::locked("a.lock", timeout = 10)]
fn no_unit() -> lockfast::Result<()> {
    Ok(())
}

#[lockfast::locked("a.lock", timeout = "99999999999999999999h")]
fn too_long() -> lockfast::Result<()> {
    Ok(())
}

#[lockfast::locked("a.lock", timeout = "1s", try)]
fn both() -> lockfast::Result<()> {
    Ok(())
}

fn main() {
    let _ = (nonsense(), no_unit(), too_long(), both());
}
