// The texts of the public pages.
const words = {
  en: {
    language: "Language", live_channels: "Live channels", none: "There is no channel.", watch: "Watch", on_now: "Now: {title}, until {time}", next: "Next: {title}, {time}", waiting: "No lecture at the moment", on_air: "On air", coming: "Soon: {title}, until {time}",
    play: "Play", pause: "Pause", mute: "Mute", unmute: "Sound on", volume: "Volume", seek: "Position", full: "Full screen", window: "Leave full screen",
    live: "Live", to_live: "Back to live", audio_only: "Audio only", sound_plays: "Audio only: the sound plays, the picture is off", quality: "Quality", auto: "Auto", auto_now: "Auto ({now})",
    subtitles: "Subtitles", no_subtitles: "No subtitles", chapters: "Chapters", controls: "Player controls", trouble: "The stream does not answer. Trying again …",
    of_time: "{now} of {all}", course: "Course", unit: "Unit", denied: "Your access has ended. Open this from its course again.", gone: "This recording is not available.", unplayable: "This recording cannot be played.",
  },
  fr: {
    language: "Langue", live_channels: "Chaînes en direct", none: "Il n’y a aucune chaîne.", watch: "Regarder", on_now: "En ce moment : {title}, jusqu’à {time}", next: "Ensuite : {title}, {time}", waiting: "Pas de cours en ce moment", on_air: "À l’antenne", coming: "Bientôt : {title}, jusqu’à {time}",
    play: "Lire", pause: "Pause", mute: "Couper le son", unmute: "Remettre le son", volume: "Volume", seek: "Position", full: "Plein écran", window: "Quitter le plein écran",
    live: "Direct", to_live: "Revenir au direct", audio_only: "Son seul", sound_plays: "Son seul : le son passe, l’image est coupée", quality: "Qualité", auto: "Auto", auto_now: "Auto ({now})",
    subtitles: "Sous-titres", no_subtitles: "Sans sous-titres", chapters: "Chapitres", controls: "Commandes du lecteur", trouble: "Le flux ne répond pas. Nouvelle tentative…",
    of_time: "{now} sur {all}", course: "Cours", unit: "Unité", denied: "Votre accès a expiré. Rouvrez cette page depuis le cours.", gone: "Cet enregistrement est introuvable.", unplayable: "Cet enregistrement est illisible.",
  },
};
export const languages = { en: "English", fr: "Français" };

const stored = () => { try { return localStorage.getItem("amphi.language"); } catch { return null; } };
const asked = new URLSearchParams(location.search).get("lang");
const found = [asked, stored(), ...(navigator.languages ?? [])].find((it) => /^(fr|en)\b/i.test(it ?? "")) ?? "en";
let language = found.slice(0, 2).toLowerCase();
document.documentElement.lang = language;

export const current = () => language;

export function choose(next) {
  language = next;
  document.documentElement.lang = next;
  try { localStorage.setItem("amphi.language", next); } catch { /* for this page only */ }
}

export function t(name, values = {}) {
  return (words[language][name] ?? name).replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}

export const clock = (time) => new Date(time).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
