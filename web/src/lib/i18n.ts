// The texts of the chosen language. A change of language loads the page anew, so nothing here needs to be reactive.
import { en, type Messages } from '$messages/en'

export const languages = { en: 'English', id: 'Bahasa Indonesia' } as const
export type Language = keyof typeof languages

function chosen(): Language {
  const kept = localStorage.getItem('language')
  if (kept === 'en' || kept === 'id') return kept
  return navigator.language.startsWith('id') ? 'id' : 'en'
}

export const language: Language = chosen()
export const t: Messages = language === 'id' ? (await import('$messages/id')).id : en

document.documentElement.lang = language

export function setLanguage(next: Language): void {
  localStorage.setItem('language', next)
  location.reload()
}
