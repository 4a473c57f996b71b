//! A playlist is edited: tracks are added and removed through its collection, and a flush writes the difference.

use howdah::prelude::*;

use super::entities::*;

/// The SQL that shows what the playlist has.
pub const SQL: &str = "SELECT e.track_id, t.name FROM playlist_track e JOIN track t USING (track_id)
WHERE e.playlist_id = 16 ORDER BY e.track_id";

/// Edits the playlist "Grunge": without Stone Temple Pilots, with the tracks of a Foo Fighters album that are shorter than
/// three and a half minutes. Answers with what the flush has written, and with the tracks that the collection has then.
pub async fn edit(em: &EntityManager) -> Result<(FlushSummary, Vec<String>), Error> {
    let grunge = em.find_one_or_fail::<Playlist>(16, Playlist::fields().tracks().album().artist()).await?;
    let short = em
        .find::<Track>()
        .filter(|t| t.album().title().eq("The Colour And The Shape").and(t.milliseconds().lt(210_000)))
        .await?;

    let tracks = grunge.read().tracks.items()?;
    for track in &tracks {
        // Loaded along with the playlist: this sends nothing.
        let Some(album) = track.load(em, |track| track.album()).await? else { continue };
        let artist = album.load(em, |album| album.artist()).await?;
        if artist.read().name.as_deref() == Some("Stone Temple Pilots") {
            grunge.write().tracks.remove(track);
        }
    }
    for track in &short {
        grunge.write().tracks.add(track);
    }

    let summary = em.flush().await?;
    let mut tracks = grunge.read().tracks.items()?;
    tracks.sort_by_key(Managed::id);
    let rows = tracks.iter().map(|track| format!("{}|{}", track.id(), track.read().name));
    Ok((summary, rows.collect()))
}
