// The texts of the page in both languages, and the formats of times and numbers.

const words = {
  en: {
    console: "Console", skip: "Skip to the matrix", language: "Language", theme: "Light or dark",
    theme_auto: "As the system", theme_light: "Light", theme_dark: "Dark",
    nav: "Sections", nav_matrix: "Matrix", nav_channels: "Channels", nav_day: "Today", nav_viewers: "Viewers", nav_halls: "Halls", nav_audit: "Log",
    connected: "Live updates", disconnected: "Connection lost, trying again", connecting_to_server: "Connecting to the server",
    alarms: "Alarms", no_alarms: "No alarms", one_alarm: "1 alarm", n_alarms: "{n} alarms", since: "since {time}",
    matrix: "Halls and channels", matrix_hint: "Choose what each channel shows. Arrow keys move, Enter connects.",
    grid: "Matrix: rows are halls, columns are channels", hall: "Hall", halls: "Halls", waiting_loop: "Waiting loop",
    waiting_hint: "what viewers see when no hall is on air",
    duration: "Manual orders last", hold: "Lasts", forever: "until undone", for_minutes: "for {n} min", for_hours: "for {n} h", until_clock: "until …",
    until_time: "Until what time?",
    on_air: "On air", waiting: "Waiting", starting: "Coming", wanted: "Wanted", chosen: "Chosen", not_connected: "Not connected",
    connect: "Connect", disconnect: "Disconnect", clear: "Back to plan", undo: "Undo", close: "Close", watch: "Watch", watch_title: "{channel}: as viewers see it",
    connect_to: "Connect {source} to {channel}", show_waiting_on: "Show the waiting loop on {channel}",
    is_chosen: "{source} is on {channel}", waiting_is_on: "{channel} shows the waiting loop",
    by_manual: "by hand", by_schedule: "by the schedule", by_configuration: "by configuration", by_none: "nobody asked for a hall",
    until: "until {time}", channels: "Channels", source: "Hall", rung: "Rung", viewers: "Viewers", bitrate: "Bit rate",
    one_viewer: "1 viewer", n_viewers: "{n} viewers", health: "Health of the halls", state: "State", picture: "Picture", rate: "Rate",
    fps: "Pictures/s", loss: "Lost", loss_value: "{n} in the last minute, {total} in all", skew: "Clock drift", offset: "Sound delay", reconnects: "Connections",
    level: "Level", no_sound: "no sound", level_value: "{n} dB peak", seen_at: "seen {time}", no_picture: "No picture yet",
    state_idle: "Idle", state_connecting: "Connecting", state_live: "Live", state_undecodable: "No picture", state_stalled: "Stalled", state_refused: "Refused", state_backing_off: "Retrying",
    today: "Today", no_schedule: "No schedule is configured.", nothing_today: "Nothing is planned for today.", conflict: "Conflict", conflicts: "Conflicts",
    now: "now", event_title: "{title}, {from} to {to}, {source}", lead: "With lead-in and lead-out {from} to {to}", earlier: "Earlier", later: "Later", whole_day: "{date}",
    ics_state: "Calendar: {words}", may_last: "Until {time} at the latest, while somebody speaks or moves",
    viewers_title: "Viewers over the last hours", no_viewers: "Nobody has watched yet.", viewers_now: "now", viewers_most: "peak {n} at {time}", hours_ago: "{n} h ago",
    demo: "Demo: make a hall fail", demo_hint: "The halls are simulated. Each fault shows what viewers and operators see.", works: "works", fault_of: "Fault of {hall}",
    done_connect: "{channel}: {source}", done_disconnect: "{channel}: waiting loop", done_clear: "{channel}: back to plan", failed: "Failed: {why}",
    login: "Sign in", login_hint: "Enter the token of the admin port.", login_or: "Or enter a token of the admin port.", sign_in: "Sign in with your account", token: "Token", login_failed: "This is not the right token.", logout: "Sign out",
    forbidden: "Your token allows reading only.", noscript: "The console needs JavaScript.", details: "Details", notice: "On the waiting picture: {words}", none: "none", in_time: "in {time}", ago: "{time} ago",
    alarm_offline: "{source} cannot be reached", alarm_stalled: "{source} is connected but sends nothing", alarm_refused: "{source} refuses our user name or password",
    alarm_black: "{source} shows a black picture", alarm_frozen: "{source}: the picture is frozen", alarm_silent: "{source} is silent: is the microphone on?",
    alarm_clipped: "{source} is too loud: its sound is clipped", alarm_skew: "{source}: its clock drifts", alarm_loss: "{source}: packets are lost in the network",
    alarm_overload: "The server is too slow for {source}", alarm_parameter_sets: "{source} cannot be shown",
    alarm_undecodable: "{source} sends pictures that cannot be decoded", alarm_undecodable_sound: "{source} sends sound that cannot be decoded",
    alarm_not_on_air: "{source} should be on air and is not", alarm_stale: "{source} has no new segment",
    alarm_calendar: "The calendar, or part of it, cannot be fetched or read", alarm_plan: "The plan has a conflict", alarm_clock: "The server’s clock was stepped", alarm_certificate: "A certificate ends soon, or cannot be used", alarm_configuration: "The changed configuration file is not in effect",
    alarm_check: "{source} is not ready, and its lecture is near", alarm_push: "The push of {source} does not go out", alarm_task: "A part of the server failed and was restarted: {source}",
    alarm_state: "Cannot be saved: {source}", alarm_descriptors: "No more connections are accepted: {source}",
    alarm_recording: "{source}: recordings without their picture or sound, or that cannot be played",
    audit: "Who did what", audit_again: "Refresh", audit_hint: "The last {n} entries, newest first.", audit_none: "Nobody has done anything yet.",
    audit_when: "When", audit_who: "Who", audit_what: "What", audit_channel: "Channel", refused: "Refused: {why}",
    who_operator: "operator", who_viewer: "viewer", who_local: "this machine", who_wowza: "Wowza’s REST", who_schedule: "schedule", who_expiry: "expiry", who_configuration: "configuration",
    act_connect: "connected", act_disconnect: "disconnected", act_clear_override: "back to plan", act_override_expired: "override expired", act_prolong: "prolonged",
    act_notice: "notice", act_clear_notice: "notice removed", act_reset: "reset", act_unsupported: "not supported", act_open_session: "signed in", act_end_session: "signed out",
    act_rehearsal: "rehearsal", act_reload: "configuration reloaded",
  },
  fr: {
    console: "Console", skip: "Aller à la matrice", language: "Langue", theme: "Clair ou sombre",
    theme_auto: "Comme le système", theme_light: "Clair", theme_dark: "Sombre",
    nav: "Sections", nav_matrix: "Matrice", nav_channels: "Chaînes", nav_day: "Journée", nav_viewers: "Audience", nav_halls: "Salles", nav_audit: "Journal",
    connected: "Mises à jour en direct", disconnected: "Connexion perdue, nouvelle tentative", connecting_to_server: "Connexion au serveur",
    alarms: "Alarmes", no_alarms: "Aucune alarme", one_alarm: "1 alarme", n_alarms: "{n} alarmes", since: "depuis {time}",
    matrix: "Salles et chaînes", matrix_hint: "Choisissez ce que diffuse chaque chaîne. Flèches pour se déplacer, Entrée pour connecter.",
    grid: "Matrice : les lignes sont les salles, les colonnes les chaînes", hall: "Salle", halls: "Salles", waiting_loop: "Boucle d’attente",
    waiting_hint: "ce que voit le public quand aucune salle n’est à l’antenne",
    duration: "Durée des commandes manuelles", hold: "Durée", forever: "jusqu’à annulation", for_minutes: "{n} min", for_hours: "{n} h", until_clock: "jusqu’à …",
    until_time: "Jusqu’à quelle heure ?",
    on_air: "À l’antenne", waiting: "En attente", starting: "À venir", wanted: "Demandée", chosen: "Choisie", not_connected: "Non connectée",
    connect: "Connecter", disconnect: "Déconnecter", clear: "Revenir au planning", undo: "Annuler", close: "Fermer", watch: "Regarder", watch_title: "{channel} : ce que voit le public",
    connect_to: "Connecter {source} à {channel}", show_waiting_on: "Diffuser la boucle d’attente sur {channel}",
    is_chosen: "{source} est sur {channel}", waiting_is_on: "{channel} diffuse la boucle d’attente",
    by_manual: "à la main", by_schedule: "par le planning", by_configuration: "par la configuration", by_none: "aucune salle demandée",
    until: "jusqu’à {time}", channels: "Chaînes", source: "Salle", rung: "Qualité", viewers: "Audience", bitrate: "Débit",
    one_viewer: "1 spectateur", n_viewers: "{n} spectateurs", health: "État des salles", state: "État", picture: "Image", rate: "Débit",
    fps: "Images/s", loss: "Pertes", loss_value: "{n} sur la dernière minute, {total} au total", skew: "Dérive d’horloge", offset: "Retard du son", reconnects: "Connexions",
    level: "Niveau", no_sound: "pas de son", level_value: "crête {n} dB", seen_at: "vue à {time}", no_picture: "Pas encore d’image",
    state_idle: "Inactive", state_connecting: "Connexion", state_live: "En direct", state_undecodable: "Sans image", state_stalled: "Plus de flux", state_refused: "Accès refusé", state_backing_off: "Nouvelle tentative",
    today: "Journée", no_schedule: "Aucun planning n’est configuré.", nothing_today: "Rien n’est prévu aujourd’hui.", conflict: "Conflit", conflicts: "Conflits",
    now: "maintenant", event_title: "{title}, de {from} à {to}, {source}", lead: "Avec les marges, de {from} à {to}", earlier: "Plus tôt", later: "Plus tard", whole_day: "{date}",
    ics_state: "Calendrier : {words}", may_last: "Jusqu’à {time} au plus tard, tant que quelqu’un parle ou bouge",
    viewers_title: "Audience des dernières heures", no_viewers: "Personne n’a encore regardé.", viewers_now: "maintenant", viewers_most: "pic de {n} à {time}", hours_ago: "il y a {n} h",
    demo: "Démo : mettre une salle en panne", demo_hint: "Les salles sont simulées. Chaque panne montre ce que voient le public et la régie.", works: "fonctionne", fault_of: "Panne de {hall}",
    done_connect: "{channel} : {source}", done_disconnect: "{channel} : boucle d’attente", done_clear: "{channel} : retour au planning", failed: "Échec : {why}",
    login: "S’identifier", login_hint: "Saisissez le jeton du port d’administration.", login_or: "Ou saisissez un jeton du port d’administration.", sign_in: "S’identifier avec son compte", token: "Jeton", login_failed: "Jeton incorrect.", logout: "Se déconnecter",
    forbidden: "Votre jeton ne donne qu’un accès en lecture.", noscript: "La console nécessite JavaScript.", details: "Détails", notice: "Sur l’image d’attente : {words}", none: "aucune", in_time: "dans {time}", ago: "il y a {time}",
    alarm_offline: "{source} est injoignable", alarm_stalled: "{source} est connectée mais n’envoie rien", alarm_refused: "{source} refuse nos identifiants",
    alarm_black: "{source} : image noire", alarm_frozen: "{source} : image figée", alarm_silent: "{source} : pas de son, le micro est-il allumé ?",
    alarm_clipped: "{source} : le son sature", alarm_skew: "{source} : son horloge dérive", alarm_loss: "{source} : perte de paquets sur le réseau",
    alarm_overload: "Le serveur est trop lent pour {source}", alarm_parameter_sets: "{source} ne peut pas être diffusée",
    alarm_undecodable: "{source} envoie une vidéo impossible à décoder", alarm_undecodable_sound: "{source} envoie un son impossible à décoder",
    alarm_not_on_air: "{source} devrait être à l’antenne et n’y est pas", alarm_stale: "{source} ne produit plus de segments",
    alarm_calendar: "Le calendrier est injoignable, ou illisible en tout ou partie", alarm_plan: "Conflit dans le planning", alarm_clock: "L’horloge du serveur a été décalée", alarm_certificate: "Un certificat expire bientôt, ou est inutilisable", alarm_configuration: "La nouvelle configuration n’est pas en vigueur",
    alarm_check: "{source} n’est pas prête et son cours approche", alarm_push: "La rediffusion de {source} ne part pas", alarm_task: "Une partie du serveur est tombée et a été relancée : {source}",
    alarm_state: "Enregistrement impossible : {source}", alarm_descriptors: "Plus aucune connexion n’est acceptée : {source}",
    alarm_recording: "{source} : enregistrements sans image, sans son ou illisibles",
    audit: "Qui a fait quoi", audit_again: "Actualiser", audit_hint: "Les {n} dernières entrées, la plus récente d’abord.", audit_none: "Aucune action pour l’instant.",
    audit_when: "Quand", audit_who: "Qui", audit_what: "Quoi", audit_channel: "Chaîne", refused: "Refusé : {why}",
    who_operator: "régie", who_viewer: "lecture seule", who_local: "cette machine", who_wowza: "REST de Wowza", who_schedule: "planning", who_expiry: "échéance", who_configuration: "configuration",
    act_connect: "connectée", act_disconnect: "déconnectée", act_clear_override: "retour au planning", act_override_expired: "commande manuelle expirée", act_prolong: "prolongée",
    act_notice: "annonce", act_clear_notice: "annonce retirée", act_reset: "réinitialisation", act_unsupported: "non pris en charge", act_open_session: "ouverture de session", act_end_session: "fermeture de session",
    act_rehearsal: "contrôle des salles", act_reload: "configuration rechargée",
  },
};

// Sentences of the server, which are English, with their translations. A changed sentence must be changed here, too.
const sentences = [
  [/^(event \S+ '.*' \S+), and longer since the lecturer still speaks; ends at the latest at (\S+)$/, "$1, prolongé car on parle encore ; fin au plus tard à $2"],
  [/^(event \S+ '.*' \S+), and longer since something still moves in the picture; ends at the latest at (\S+)$/, "$1, prolongé car l’image bouge encore ; fin au plus tard à $2"],
  [/^connected by hand$/, "connectée à la main"],
  [/^switched to the waiting loop by hand$/, "boucle d’attente mise à la main"],
  [/^connected by the configuration$/, "connectée par la configuration"],
  [/^the channel is starting$/, "la chaîne démarre"],
  [/^no source is connected$/, "aucune salle n’est connectée"],
  [/^the ladder has ended$/, "le codage s’est arrêté"],
  [/^waits for the first picture$/, "attend la première image"],
  [/^waits for a publisher$/, "attend que l’encodeur publie"],
  [/^(\S+) is connected and delivers$/, "$1 est connectée et envoie son flux"],
  [/^(\S+) is up, its pictures did not come in time$/, "$1 est connectée, ses images arrivent trop tard"],
  [/^(\S+) was lost a moment ago and is given time to settle$/, "$1 vient d’être perdue, on attend qu’elle se stabilise"],
  [/^(\S+) is idle(.*)$/, "$1 est inactive$2"],
  [/^(\S+) is being connected(.*)$/, "connexion à $1 en cours$2"],
  [/^(\S+) has just come up(.*)$/, "$1 vient de se connecter$2"],
  [/^(\S+) has stalled(.*)$/, "$1 n’envoie plus rien$2"],
  [/^(\S+) refuses us(.*)$/, "$1 refuse nos identifiants$2"],
  [/^(\S+) is down and will be tried again(.*)$/, "$1 est injoignable, nouvelle tentative bientôt$2"],
  [/^no connection: (.*)$/, "pas de connexion : $1"],
  [/^the encoder did not answer within (\d+) s$/, "l’encodeur n’a pas répondu en $1 s"],
  [/^the encoder closed the connection$/, "l’encodeur a fermé la connexion"],
  [/^the connection broke: (.*)$/, "la connexion s’est rompue : $1"],
  [/^nothing came for (\d+) s on the open connection$/, "aucune donnée reçue pendant $1 s"],
  [/^no picture came for (\d+) s, while sound went on$/, "aucune image reçue pendant $1 s, le son continue"],
];
// The part of a sentence after a colon.
const inner = /^(.*?)(: )(.+)$/;

const stored = () => { try { return localStorage.getItem("amphi.language"); } catch { return null; } };
const preferred = () => ([stored(), ...(navigator.languages ?? [])].find((it) => /^(fr|en)\b/i.test(it ?? "")) ?? "en");
let language = preferred().slice(0, 2).toLowerCase();

export const languages = { en: "English", fr: "Français" };
export const current = () => language;

export function choose(next) {
  language = next;
  try { localStorage.setItem("amphi.language", next); } catch { /* kept for this page only */ }
}

export function t(name, values = {}) {
  const sentence = words[language][name] ?? words.en[name] ?? name;
  return sentence.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}

export const has = (name) => name in words.en;

// A sentence of the server in the language of the page, and the language that it is in.
export function said(sentence) {
  if (language !== "fr" || !sentence) return { words: sentence ?? "", lang: null };
  for (const [pattern, translated] of sentences) {
    if (!pattern.test(sentence)) continue;
    const outer = sentence.replace(pattern, translated);
    const [, head, , rest] = inner.exec(outer) ?? [];
    return { words: rest && /^no |^the |^nothing /.test(rest) ? `${head} : ${said(rest).words}` : outer, lang: null };
  }
  return { words: sentence, lang: "en" };
}

// Times, in the browser's zone. `ahead` is how far the server's clock is ahead of this machine's, in milliseconds.
let ahead = 0;
export const setServerTime = (server) => { ahead = server - Date.now(); };
export const now = () => Date.now() + ahead;

export const clock = (time, seconds = false) => new Date(time).toLocaleTimeString(language, {
  hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(seconds ? { second: "2-digit" } : {}),
});

export const day = (time) => new Date(time).toLocaleDateString(language, { weekday: "long", day: "numeric", month: "long" });

// The time of day, with the date unless it is today.
export function moment(time) {
  const date = new Date(time);
  const today = new Date(now()).toDateString() === date.toDateString();
  if (today) return clock(date);
  return date.toLocaleString(language, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

// How long, roughly: 45 s, 12 min, 3 h 05.
export function lasting(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${String(Math.floor(s / 60) % 60).padStart(2, "0")}`;
  const days = Math.floor(s / 86_400);
  return language === "fr" ? `${days} j` : `${days} d`;
}

export const number = (value, digits = 0) =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const bitrate = (bps) => bps >= 1e6 ? `${number(bps / 1e6, 2)} Mbit/s` : `${number(bps / 1e3)} kbit/s`;

export const viewers = (n) => (n === 1 ? t("one_viewer") : t("n_viewers", { n: number(n) }));

// Translates the page's markup: data-t for text, data-label for labels.
export function translate(root = document) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(element.dataset.label));
}
