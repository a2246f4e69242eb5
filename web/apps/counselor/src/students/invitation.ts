/** Where students register their phones. The server finds the school by the ID number: the link names no one. */
export function invitationLink(origin: string): string {
  return `${origin}/m/activation`
}

/** What is sent to the class: the sentence and the link, which stands alone so that every messenger recognises it. */
export function invitationText(sentence: string, link: string): string {
  return `${sentence}\n${link}`
}
