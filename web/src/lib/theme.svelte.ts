// Light, dark, or as the system says; row height. Kept in this browser.

export type Theme = 'system' | 'light' | 'dark'
export type Density = 'normal' | 'compact'

const system = matchMedia('(prefers-color-scheme: dark)')

class Appearance {
  theme = $state<Theme>((localStorage.getItem('theme') as Theme | null) ?? 'system')
  density = $state<Density>((localStorage.getItem('density') as Density | null) ?? 'normal')
  #systemIsDark = $state(system.matches)
  /** What is on the screen; canvases are drawn anew when it changes. */
  isDark = $derived(this.theme === 'system' ? this.#systemIsDark : this.theme === 'dark')

  constructor() {
    system.addEventListener('change', (event) => (this.#systemIsDark = event.matches))
    this.#apply()
  }

  setTheme(theme: Theme): void {
    this.theme = theme
    localStorage.setItem('theme', theme)
    this.#apply()
  }

  setDensity(density: Density): void {
    this.density = density
    localStorage.setItem('density', density)
    this.#apply()
  }

  #apply(): void {
    const root = document.documentElement
    if (this.theme === 'system') delete root.dataset.theme
    else root.dataset.theme = this.theme
    root.dataset.density = this.density
  }
}

export const appearance = new Appearance()
